# SPDX-License-Identifier: MIT
"""The figure that bench/isolation.py draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.contest import NONE, WAYS, Contender, costs, find
from bench.tables import fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.isolation import Contests, Point

mpl.use("Agg")  # no display is needed

COLOURS = dict(
    zip(
        WAYS,
        ("#7f7f7f", "#1f77b4", "#6baed6", "#2ca02c", "#bcbd22", "#d62728", "#ff7f0e", "#8c564b"),
        strict=True,
    )
)
PARTS = {
    "enter": "#aec7e8",
    "renewal": "#ff9896",
    "application": "#c7c7c7",
    "send": "#98df8a",
    "undo": "#1f77b4",
}


def draw(contests: Contests, folder: Path) -> list[str]:
    """Write the figure as PNG and SVG into *folder*; return the names of the files."""
    figure, axes = plt.subplots(2, 3, figsize=(18, 12), layout="constrained")
    lines = contests.synthetic
    _bars(axes[0][0], contests.applications | contests.effects)
    _by_part(axes[0][1], contests.applications)
    endpoints = {"\n".join(line): found for line, found in contests.endpoints.items()}
    _bars(axes[0][2], endpoints)
    _against(axes[1][0], lines, "pages", "pages that a request writes")
    _against(axes[1][1], lines, "mib", "size of the image [MiB]")
    _against(axes[1][2], lines, "mappings", "mappings of the image")
    figure.suptitle("lwcgi: what it costs to give every request the same pristine state")
    folder.mkdir(exist_ok=True)
    names = [folder / f"isolation.{kind}" for kind in ("png", "svg")]
    for name in names:
        figure.savefig(name, dpi=110)
    plt.close(figure)
    return [f"bench/results/{name.name}" for name in names]


def _bars(axes: Axes, lines: Mapping[str, Sequence[Contender]]) -> None:
    """Draw the costs of each line, a bar for each way."""
    found = [costs(contenders) for contenders in lines.values()]
    ways = list(found[0])
    height = 0.8 / len(ways)
    for number, way in enumerate(ways):
        values = {
            line + (number + 0.5) * height - 0.4: cost[way]
            for line, cost in enumerate(found)
            if way in cost
        }
        bars = axes.barh(
            list(values), list(values.values()), height * 0.9, color=COLOURS[way], label=way.name
        )
        axes.bar_label(bars, [f" {_short(value)}" for value in values.values()], fontsize=7)
    axes.set_yticks(range(len(lines)), list(lines), fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.set_xlim(left=1)
    axes.set_xlabel("added by isolation [µs a request]")
    _legend_above(axes, 4)


def _by_part(axes: Axes, lines: Mapping[str, Sequence[Contender]]) -> None:
    shown = {
        f"{name}\n{one.way.name}": _parts(one, find(line, NONE))
        for name, line in lines.items()
        for one in line
        if not one.way.end
    }
    left = [0.0] * len(shown)
    for part, colour in PARTS.items():
        shares = [100 * parts[part] / sum(parts.values()) for parts in shown.values()]
        axes.barh(range(len(shown)), shares, 0.8, left, color=colour, label=part)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(shown)), list(shown), fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("part of a request's time [%]")
    _legend_above(axes, 5)


def _parts(one: Contender, none: Contender) -> dict[str, float]:
    """Return the parts of a request's time, in the order of PARTS."""
    undo = max(0.0, one.undo(none))
    known = {part: one.middle(part) for part in ("renewal", "application", "send")}
    found = known | {"enter": one.middle("turn") - undo, "undo": undo}
    return {part: found[part] for part in PARTS}


def _against(
    axes: Axes, lines: Mapping[Point, Sequence[Contender]], column: str, label: str
) -> None:
    """Draw the costs over one column, the others being as in the middle point, with the fit."""
    middle = next(iter(lines))
    points = sorted(
        (point for point in lines if _same_but(point, middle, column)),
        key=lambda point: getattr(point, column),
    )
    at = [getattr(point, column) for point in points]
    between = [at[0] + (at[-1] - at[0]) * step / 100 for step in range(101)]
    for way, fit in fitted(lines).items():
        values = [costs(lines[point])[way] for point in points]
        axes.plot(at, values, "o", color=COLOURS[way], label=way.name)
        expected = [fit.at(*(vars(middle) | {column: x}).values()) for x in between]
        slope = fit.values[1 + list(vars(middle)).index(column)]
        label_of_fit = f"fit: {slope:.3g} µs each"
        axes.plot(between, expected, color=COLOURS[way], linewidth=1, label=label_of_fit)
    axes.set_yscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("added by isolation [µs a request]")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize=8)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(fontsize=8, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _same_but(point: Point, middle: Point, column: str) -> bool:
    return vars(point) | {column: 0} == vars(middle) | {column: 0}


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
