# SPDX-License-Identifier: MIT
"""Random sequences of calls do what the model of the contract says (model.py)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 20  # commands


def _run(checkout: Path, first: int, sequences: int) -> None:
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.vm.guest_tests.driver"),
            *map(str, (first, sequences, LENGTH)),
        ],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == f"{sequences} sequences, 0 failed\n", done.stdout


def test_random_sequences(checkout: Path) -> None:
    """Each in a process of its own; each step answers and leaves what the model says."""
    _run(checkout, 1, 100)


@pytest.mark.timeout(1500)
def test_long_random_sequences(checkout: Path) -> None:
    """1,000 others."""
    _run(checkout, 101, 1000)
