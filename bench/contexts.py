# SPDX-License-Identifier: MIT
"""What `make bench-contexts` runs: what lwCs cost beside processes and threads, in a guest.

Times of an emulated processor are good for ratios only, and these are taken within a round of one
guest. A second guest, of the same kernel, counts instructions instead of time.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.fit import plane
from tests.vm import build, kernels, runs
from tests.vm.errors import VmError
from tests.vm.machine import Hardware

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.fit import Fit

RESULTS = Path(__file__).parent / "results"
SIZES = (8, 64)
PAGES = (10, 100, 1000)
SWITCHES = [
    f"{who}-{how}" for who in ("process", "thread") for how in ("pipe", "futex", "condition")
]
_SECONDS = 1500


@dataclass
class Figures:
    """Of one kernel.

    Parameters:
        kernel: its name and version.
        times: nanoseconds an operation, a value for each round, by the operation's name.
        counts: of one operation, by its name: instructions, roots, faults, switches, copied, checked.
        memory: kilobytes of a kept lwC, a value for each round, by its number of unique pages.
    """

    kernel: str
    times: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    memory: dict[int, list[float]] = field(default_factory=dict)

    def ratios(self, above: str, below: str) -> list[float]:
        """Return what *above* takes over what *below* takes, for each round."""
        pairs = zip(self.times[above], self.times[below], strict=True)
        return [one / other for one, other in pairs]

    def fit(self) -> Fit:
        """Return the line through the memory of a kept lwC, over its unique pages."""
        points = [(pages, value) for pages, found in self.memory.items() for value in found]
        return plane([(float(pages),) for pages, _ in points], [value for _, value in points])


@dataclass(frozen=True)
class Line:
    """A ratio that is told.

    Parameters:
        text: what it is.
        above, below: names of operations.
        target: what it should be, in words; empty for none.
    """

    text: str
    above: str
    below: str
    target: str = ""


def lines() -> list[Line]:
    """Return the ratios, in the order in which they are told."""
    found = [Line("lwSwitch / empty ioctl", "lwc-switch", "empty-ioctl")]
    for other in SWITCHES:
        target = "" if other.startswith("thread") else "<= 0.7"
        found.append(Line(f"lwSwitch / {other}, one way", "lwc-switch", other, target))
    for when in ("beside", "after"):
        text = f"getppid {when} an lwC that is refused calls / before there was one"
        found.append(Line(text, f"getppid-{when}-trap", "getppid", "1" if when == "after" else ""))
    found.append(Line("refused call and answer / lwSwitch, one way", "trap-trip", "lwc-switch"))
    for size in SIZES:
        for pages in PAGES:
            case = f"{size}M-{pages}-pages"
            text = f"fork, touch, exit, wait / reset cycle, {pages} pages of {size} MB"
            found.append(Line(text, f"fork-cycle-{case}", f"reset-cycle-{case}", ">= 10"))
    small, large = SIZES
    for pages in PAGES:
        names = [f"reset-cycle-{size}M-{pages}-pages" for size in (large, small)]
        found.append(
            Line(f"reset cycle, {pages} pages: {large} MB / {small} MB", *names, "flat: 1")
        )
    for size in SIZES:
        for pages in (0, *PAGES):
            case = f"{size}M-{pages}-pages"
            text = f"create, touch, destroy / fork, touch, exit, wait, {pages} pages of {size} MB"
            found.append(Line(text, f"lwc-cycle-{case}", f"fork-cycle-{case}", "<= 1"))
    return found


def measure(kernel: str, rounds: int) -> Figures:
    """Boot a kernel twice, once for times and once for counts, and return what it told.

    Raises:
        VmError: it could not be booted, or did not come to its end.
    """
    figures = Figures(kernel)
    told = _told(kernel, rounds, Hardware(memory=768))
    for name, values in _operations(told):
        figures.times.setdefault(name, []).append(values["ns"])
    for pages, kilobytes in re.findall(r"^MEMORY pages=(\d+) kilobytes=(\S+)$", told, re.MULTILINE):
        figures.memory.setdefault(int(pages), []).append(float(kilobytes))
    for name, values in _operations(_told(kernel, 1, Hardware(memory=768, counted=True))):
        figures.counts[name] = {"instructions": values.pop("ns"), **values}
    return figures


def _told(name: str, rounds: int, hardware: Hardware) -> str:
    kernel = kernels.get(name)
    verdict = runs.run(
        kernel,
        "bench",
        f"/lwc-suite --bench {rounds}\n",
        module=build.module(kernel),
        files={"lwc-suite": build.suite()},
        hardware=hardware,
        seconds=_SECONDS,
    )
    if not verdict.is_good:
        raise VmError(verdict.report())
    return verdict.told


def _operations(told: str) -> list[tuple[str, dict[str, float]]]:
    """Return name and values of each line ``BENCH name key=value ...``."""
    return [
        (name, {key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", rest)})
        for name, rest in re.findall(r"^BENCH (\S+) (.*)$", told, re.MULTILINE)
    ]


def table(found: Sequence[Figures]) -> None:
    """Print ratios, counts and memory, a column or a table for each kernel."""
    print(f"{'ratio of times':66} {'target':8}", end="")
    print("".join(f" {figures.kernel:>20}" for figures in found))
    for line in lines():
        print(f"{line.text:66} {line.target:8}", end="")
        for figures in found:
            ratios = figures.ratios(line.above, line.below)
            spread = f"({min(ratios):.2f}..{max(ratios):.2f})"
            print(f" {median(ratios):5.2f} {spread:>14}", end="")
        print()
    for figures in found:
        names = list(next(iter(figures.counts.values())))
        print(f"\n{figures.kernel}: of one operation" + " " * (10 - len(figures.kernel)), end="")
        print("".join(f" {name:>12}" for name in names))
        for name, values in figures.counts.items():
            print(f"{name:29}" + "".join(f" {values[key]:12.6g}" for key in names))
        fit = figures.fit()
        points = ", ".join(f"{p}: {median(v):.0f}" for p, v in figures.memory.items())
        print(
            f"{figures.kernel}: memory of a kept lwC {fit.values[0]:.0f} kB "
            f"and {fit.values[1]:.2f} kB a unique page (R² {fit.explained:.4f}; kB by pages {points})"
        )


def draw(found: Sequence[Figures], folder: Path) -> None:
    """Write the figure as PNG and SVG into *folder*."""
    import matplotlib as mpl

    mpl.use("Agg")  # no display is needed
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(14, 6), layout="constrained")
    for number, figures in enumerate(found):
        colour = f"C{number}"
        for cycle, style in (("fork", ":"), ("lwc", "--"), ("reset", "-")):
            for size, marker in zip(SIZES, "o^", strict=True):
                values = [
                    figures.counts[f"{cycle}-cycle-{size}M-{n}-pages"]["instructions"]
                    for n in PAGES
                ]
                label = f"{figures.kernel}, {cycle}, {size} MB"
                axes[0].plot(PAGES, values, marker + style, color=colour, label=label)
        fit = figures.fit()
        axes[1].plot(
            [pages for pages, values in figures.memory.items() for _ in values],
            [value for values in figures.memory.values() for value in values],
            "o",
            color=colour,
        )
        ends = (0.0, float(max(figures.memory)))
        label = f"{figures.kernel}: {fit.values[0]:.0f} kB + {fit.values[1]:.2f} kB a page"
        axes[1].plot(ends, [fit.at(x) for x in ends], color=colour, label=label)
    axes[0].set(xscale="log", yscale="log", xlabel="pages written", ylabel="instructions a cycle")
    axes[1].set(xlabel="unique pages of a kept lwC", ylabel="memory [kB]")
    for one in axes:
        one.grid(visible=True, which="both", alpha=0.3)
        one.legend(fontsize=8)
    for kind in ("png", "svg"):
        figure.savefig(folder / f"contexts.{kind}", dpi=110)
    plt.close(figure)


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", action="append", help="default: 6.1 and 6.12")
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 7")
    options = parser.parse_args()
    rounds = 2 if options.quick else 7
    try:
        found = [measure(name, rounds) for name in options.kernel or ("6.1", "6.12")]
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    table(found)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "contexts.json").write_text(json.dumps([asdict(figures) for figures in found]))
    draw(found, RESULTS)
    least = [
        min(median(f.ratios(x.above, x.below)) for x in lines() if x.target == ">= 10")
        for f in found
    ]
    told = ", ".join(f"{x:.1f} on {f.kernel}" for x, f in zip(least, found, strict=True))
    print(
        f"bench: {rounds} rounds; fork, touch, exit, wait takes at least so many times a reset "
        f"cycle: {told}; bench/results/contexts.png"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
