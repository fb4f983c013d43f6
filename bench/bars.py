# SPDX-License-Identifier: MIT
"""The bar chart that bench/throughput.py draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.figures import Figures, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

mpl.use("Agg")  # no display is needed

OURS, OTHERS = "#1f77b4", "#b0b0b0"
COLUMNS = 2


def draw(figures: Sequence[Figures], title: str, folder: Path) -> list[str]:
    """Write the chart as PNG and SVG into *folder*.

    Parameters:
        figures: a panel for each application, a bar for each of its servers.
        title: above all panels.
        folder: made when it is not there.

    Returns:
        The paths of the files.
    """
    panels = {app: list(bars) for app, bars in groupby(figures, lambda each: each.app)}
    lines = max(1, -(-len(panels) // COLUMNS))
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(14, 4 * lines), layout="constrained", squeeze=False
    )
    for place in axes.flat[len(panels) :]:
        place.set_axis_off()
    for place, (app, bars) in zip(axes.flat, panels.items(), strict=False):
        _panel(place, app, bars)
    figure.suptitle(title)
    folder.mkdir(exist_ok=True)
    names = [folder / f"throughput.{kind}" for kind in ("png", "svg")]
    for name in names:
        figure.savefig(name, dpi=110)
    plt.close(figure)
    return [str(name) for name in names]


def _panel(axes: Axes, app: str, bars: Sequence[Figures]) -> None:
    """Draw the requests per second of one application, with quartiles."""
    rates = [one.rate for one in bars]
    middles = [rate.middle for rate in rates]
    quartiles = [
        [rate.middle - rate.lower for rate in rates],
        [rate.upper - rate.middle for rate in rates],
    ]
    colours = [OURS if one.server.startswith("lwcgi") else OTHERS for one in bars]
    drawn = axes.barh(range(len(bars)), middles, 0.75, xerr=quartiles, color=colours, capsize=3)
    axes.bar_label(drawn, [_label(one) for one in bars], padding=6, fontsize=8)
    axes.set_yticks(range(len(bars)), [one.server for one in bars])
    axes.invert_yaxis()
    axes.set_title(app)
    axes.set_xlim(0, 1.25 * max([rate.upper for rate in rates] + [1.0]))
    axes.set_xlabel("requests/s, median and quartiles of the rounds; ratio to lwcgi none")


def _label(one: Figures) -> str:
    to_none = "" if one.to_none is None else f"  ×{short(one.to_none)}"
    return f"{one.rate.middle:.0f}{to_none}"
