# SPDX-License-Identifier: MIT
"""The tables of engines, levels and attacks say what the code and its tests say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lwcgi import engines
from lwcgi.config import LEVELS
from tests.contract import levels
from tests.contract.checks import CHECKS

ROOT = Path(__file__).parents[2]
GUARANTEES = (ROOT / "docs/guarantees.md").read_text()
THREATS = (ROOT / "docs/threats.md").read_text()
README = (ROOT / "README.md").read_text()
CELLS = [(name, level) for name in engines.ENGINES for level in LEVELS]
ATTACKED = ("rewind", "lwc", "fork")


def rows(page: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose heading begins with *first*."""
    lines = page[page.index(f"\n| {first} |") + 1 :].split("\n\n")[0].splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]]
    ]


def test_table_of_engines() -> None:
    """docs/guarantees.md has each engine, in the order of `auto`, with the levels it gives."""
    heading, *told = rows(GUARANTEES, "engine")
    assert heading == ["engine", *(f"`{level}`" for level in LEVELS), "needs"]
    assert [row[:4] for row in told] == [
        [f"`{name}`", *("yes" if level in engine.levels else "no" for level in LEVELS)]
        for name, engine in engines.ENGINES.items()
    ]


def test_table_of_levels() -> None:
    """A level's row has the promises that its tests take for granted, and those of one engine."""
    _, *told = rows(GUARANTEES, "level")
    expected = {f"`{level}`": " ".join(map(str, all_)) for level, all_ in levels.NEEDED.items()}
    for (engine, level), more in levels.NEEDED_OF.items():
        expected[f"`{level}`"] += f", `{engine}`: {' '.join(more)}"
    assert {row[0]: row[2] for row in told} == expected


@pytest.mark.parametrize(("name", "level"), CELLS)
def test_each_cell_has_its_tests(name: str, level: str) -> None:
    """A "yes" is a variant of the contract that promises it all; a "no" has none.

    What is refused for a "no" is in tests/gateway/test_isolate.py.
    """
    assert bool(levels.proofs(name, level)) == (level in engines.ENGINES[name].levels)


def test_readme() -> None:
    """The README's table says the same in short."""
    _, *told = rows(README, "engine")
    assert [[row[0], *(cell.strip("*").partition(",")[0].partition(":")[0].strip("*") for cell in row[2:5])] for row in told] == [
        [f"`{name}`", *("yes" if level in engine.levels else "no" for level in LEVELS)]
        for name, engine in engines.ENGINES.items()
    ]  # fmt: skip


def test_attacks() -> None:
    """Each attack has what becomes of it, by engine, and tests that exist.

    An engine that gives `hostile` prevents it, but where a row names the circumstances.
    """
    heading, *told = rows(THREATS, "attack")
    assert heading == ["attack", *(f"`{name}`" for name in ATTACKED), "tested by"]
    known = {check.__name__ for checks in CHECKS.values() for check in checks}
    for attack, *outcomes, tests in told:
        named = re.findall(r"`(\w+)`", tests)
        assert named, attack
        assert set(named) <= known, attack
        for name, outcome in zip(ATTACKED, outcomes, strict=True):
            assert re.match("(prevented|detected|listed)($|[,: ])", outcome), attack
            if "hostile" in engines.ENGINES[name].levels:
                assert outcome.startswith("prevented"), attack
    assert len(told) > 10


def test_every_attack_is_told() -> None:
    """The checks that are attacks are all in the table of the threat model."""
    attacks = {
        c.__name__
        for name in ("channel", "switches", "neighbours", "attacks")
        for c in CHECKS[name]
    }
    harmless = {"own_processes_can_be_traced", "files_can_be_moved"}
    assert attacks - harmless <= set(re.findall(r"`(\w+)`", THREATS))
