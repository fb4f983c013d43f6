# SPDX-License-Identifier: MIT
"""Commands of the host: what they print, or why they failed."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of a make that started us: its switches are not meant for the kernel's.
_NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")


def run(words: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a command to its end and return what it printed, in English.

    Parameters:
        words: the program and its arguments.
        cwd: where it runs.

    Raises:
        VmError: it is not installed, or it failed, with its last words.
    """
    environ = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
    try:
        done = subprocess.run(
            list(map(str, words)),
            cwd=cwd,
            env=environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise VmError(f"{words[0]} is not installed: `make vm` installs what it needs") from None
    if done.returncode:
        line = " ".join(map(str, words))
        raise VmError(f"{line}: exit code {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout
