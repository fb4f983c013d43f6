# SPDX-License-Identifier: MIT
"""The tables that bench/isolation.py prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.contest import FORK, IN_PLACE, LOAD, NONE, Contender, Way, costs, find
from bench.fit import Fit, plane
from bench.parts import LOGGED

if TYPE_CHECKING:
    from bench.isolation import Point


def applications(lines: Mapping[str, Sequence[Contender]]) -> None:
    """Print the time of a request and its parts, for each application and way."""
    print("\nMicroseconds a request, and its parts. Ratios are of requests/s.")
    print(f"{'':14} {'':21} {'time':>7} {'lowest..highest':>17} {'- none':>8} {'/none':>6}", end="")
    print(f" {'/fork':>6} {'enter':>7} {'renew':>6} {'app':>7} {'send':>6} {'undo':>7}", end="")
    print(f" {'meant':>6} {'pages':>6} {'MiB':>6}")
    for name, contenders in lines.items():
        for one in contenders:
            _application(name, one, contenders)
    for name, contenders in lines.items():
        for one in contenders:
            if one.logged:
                told = ", ".join(f"{part} {one.logged.get(part, 0):.2f}" for part in LOGGED)
                print(f"{name:14} {one.way.name:21} says of itself: {told}")


def _application(name: str, one: Contender, contenders: Sequence[Contender]) -> None:
    none, fork = find(contenders, NONE), find(contenders, FORK)
    times = [each.whole for each in one.rounds]
    spread = f"{min(times):.1f}..{max(times):.1f}"
    print(f"{name:14} {one.way.name:21} {one.middle():7.1f} {spread:>17}", end="")
    print(f" {one.cost(none):8.1f} {none.middle() / one.middle():6.3f}", end="")
    print(f" {fork.middle() / one.middle():6.1f}", end="")
    undo = one.undo(none)
    print(f" {one.middle('turn') - undo:7.1f} {one.middle('renewal'):6.1f}", end="")
    print(f" {one.middle('application'):7.1f} {one.middle('send'):6.1f} {undo:7.1f}", end="")
    so, pages = one.per_request(one.way.counter), one.per_request("pages put back")
    print(f" {'' if so is None else f'{so:.1%}':>6}", end="")
    print(f" {'' if pages is None else f'{pages:.0f}':>6} {one.memory:6.1f}")


def delays(lines: Mapping[str, Sequence[Contender]]) -> None:
    """Print how long requests take that come at random times."""
    print(f"\nMicroseconds until the answer, for requests at random times, {LOAD:.0%} load.")
    print(f"{'':14} {'':21} {'p50':>7} {'p99':>7} {'p99 / none':>10}")
    for name, contenders in lines.items():
        none = find(contenders, NONE).delay(0.99)
        for one in contenders:
            if one.delays:
                print(f"{name:14} {one.way.name:21} {one.delay(0.5):7.0f}", end="")
                print(f" {one.delay(0.99):7.0f} {one.delay(0.99) / none:10.2f}")


def fitted(lines: Mapping[Point, Sequence[Contender]]) -> dict[Way, Fit]:
    """Return the plane through the costs of the synthetic requests, for each way."""
    rows = [(point.pages, point.mib, point.mappings) for point in lines]
    each = [costs(contenders) for contenders in lines.values()]
    return {way: plane(rows, [found[way] for found in each]) for way in each[0]}


def synthetic(lines: Mapping[Point, Sequence[Contender]]) -> None:
    """Print what isolation adds to the synthetic requests, and what that depends on."""
    fits = fitted(lines)
    print("\nMicroseconds that isolation adds to a request that writes pages of an image.")
    print(f"{'pages':>6} {'MiB':>6} {'mappings':>9}", "".join(f"{way.name:>18}" for way in fits))
    for point, contenders in sorted(lines.items(), key=lambda line: tuple(vars(line[0]).values())):
        found = costs(contenders)
        print(f"{point.pages:6} {point.mib:6} {point.mappings:9} ", end="")
        print("".join(f"{found[way]:18.1f}" for way in fits))
    for way, fit in fits.items():
        terms = [
            f"{value:.4g} (±{error:.2g}) {unit}"
            for value, error, unit in zip(
                fit.values, fit.errors, ("µs", "µs/page", "µs/MiB", "µs/mapping"), strict=True
            )
        ]
        print(f"{way.name}: {' + '.join(terms)}; R² {fit.explained:.4f}")


def endpoints(lines: Mapping[tuple[str, str], Sequence[Contender]]) -> None:
    """Print what isolation adds where an application has many endpoints."""
    print(
        "\nMicroseconds that isolation adds to a request to one endpoint, and to all by Zipf's law."
    )
    print(f"{'':16} {'':16} {'one':>8} {'all':>8} {'all/one':>8}")
    for name in dict.fromkeys(name for name, _ in lines):
        one, many = (costs(found) for (of, _), found in lines.items() if of == name)
        for way in one:
            ratio = many[way] / one[way]
            print(f"{name:16} {way.name:16} {one[way]:8.1f} {many[way]:8.1f} {ratio:8.2f}")


def summary(contenders: Sequence[Contender]) -> str:
    """Return the ratios that matter most, of one application's line."""
    none, fork = find(contenders, NONE), find(contenders, FORK)
    if all(one.way != IN_PLACE for one in contenders):
        return f"Flask hello: fork {fork.middle() / none.middle():.1f} times the time of none"
    rewind = find(contenders, IN_PLACE)
    in_place = rewind.per_request(IN_PLACE.counter) or 0.0
    return (
        f"Flask hello {in_place:.1%} in place, for {rewind.cost(none):.0f} µs, "
        f"{none.middle() / rewind.middle():.2f} "
        f"of none's requests/s, {fork.middle() / rewind.middle():.0f} times fork's"
    )
