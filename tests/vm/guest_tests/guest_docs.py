# SPDX-License-Identifier: MIT
"""Every program in docs/lwc.md prints what stands below it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.vm import examples

if TYPE_CHECKING:
    from pathlib import Path


def test_programs_in_python(checkout: Path) -> None:
    """With the interpreter that runs the tests."""
    found = examples.find(checkout, "python")
    assert len(found) >= 7
    for example in found:
        command = [sys.executable, "-W", "error", "-c", example.program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == (example.output, ""), example.heading
        assert done.returncode == 0, example.heading


def test_programs_in_c(checkout: Path, tmp_path: Path) -> None:
    """Compiled with all warnings."""
    found = examples.find(checkout, "c")
    assert len(found) >= 7
    for example in found:
        program = examples.compiled(checkout, example, tmp_path)
        done = subprocess.run([program], capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == (example.output, ""), example.heading
        assert done.returncode == 0, example.heading
