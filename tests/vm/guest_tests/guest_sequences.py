# SPDX-License-Identifier: MIT
"""Random sequences of calls do what the model of the contract says (model.py)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCES = 1000
LENGTH = 20  # commands


@pytest.mark.timeout(1500)
def test_random_sequences(checkout: Path) -> None:
    """1,000 sequences in 1,000 processes; each step answers and leaves what the model says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.vm.guest_tests.driver", "1", str(SEQUENCES), str(LENGTH)],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == f"{SEQUENCES} sequences, 0 failed\n", done.stdout
