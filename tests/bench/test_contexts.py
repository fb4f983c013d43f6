# SPDX-License-Identifier: MIT
"""What bench/contexts.py makes of the lines that a guest prints."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pytest

from bench import contexts
from tests.vm.errors import VmError

if TYPE_CHECKING:
    from pathlib import Path

# What one operation takes, in nanoseconds where time is told.
SWITCH, FORK, RESET = 700, 20_000, 1_000


def _said(rounds: int, factor: int) -> str:
    """Return what a guest says whose processor takes *factor* times as long in each next round."""
    lines = []
    for number in range(1, rounds + 1):
        names = {name for line in contexts.lines() for name in (line.above, line.below)}
        lines.append(f"ROUND {number}")
        for name in sorted(names):
            ns = RESET if "reset" in name else FORK if "cycle" in name else SWITCH
            counts = "roots=1.00 faults=0.50 switches=0.00 copied=12 checked=13"
            lines.append(f"BENCH {name} ns={ns * factor**number} {counts}")
        lines += [f"MEMORY pages={pages} kilobytes={50 + 4 * pages:.2f}" for pages in (0, 10, 300)]
    return "\n".join(lines)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> contexts.Figures:
    """Those of a kernel that is not booted."""

    def told(_name: str, rounds: int, hardware: contexts.Hardware) -> str:
        return _said(rounds, 1 if hardware.counted else 3)

    monkeypatch.setattr(contexts, "_told", told)
    return contexts.measure("6.1", 4)


def test_ratios_are_taken_within_a_round(figures: contexts.Figures) -> None:
    """A round in which everything takes longer changes no ratio."""
    ratios = figures.ratios("fork-cycle-8M-10-pages", "reset-cycle-8M-10-pages")
    assert ratios == [FORK / RESET] * 4


def test_times_and_counts_are_of_different_boots(figures: contexts.Figures) -> None:
    """The boot that counts gives instructions, and no time."""
    assert median(figures.times["lwc-switch"]) == SWITCH * (9 + 27) / 2
    assert figures.counts["lwc-switch"] == {
        "instructions": SWITCH, "roots": 1, "faults": 0.5, "switches": 0, "copied": 12,
        "checked": 13,
    }  # fmt: skip


def test_memory_is_fitted(figures: contexts.Figures) -> None:
    """The line through the memory of kept lwCs gives what one costs, and what a page does."""
    assert figures.fit().values == pytest.approx((50, 4))


def test_table(figures: contexts.Figures, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ratio has a line, with its target; each operation one with its counts."""
    contexts.table([figures])
    told = capsys.readouterr().out
    for line in contexts.lines():
        assert any(
            text.startswith(line.text) and line.target in text for text in told.splitlines()
        ), line
    assert " 20.00 (20.00..20.00)" in told
    assert "50 kB and 4.00 kB a unique page" in told


def test_a_guest_that_fails_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where a kernel cannot be booted the reason is told, and nothing is written."""

    def told(*_arguments: object) -> str:
        raise VmError("no such kernel")

    monkeypatch.setattr(contexts, "_told", told)
    monkeypatch.setattr(contexts, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["contexts"])
    assert contexts.main() == 1
    assert "no such kernel" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
