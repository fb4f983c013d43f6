# SPDX-License-Identifier: MIT
"""Programs in an interpreter of their own, for what changes a whole process."""

from __future__ import annotations

import os
import subprocess
import sys


def output(program: str, **environ: str) -> str:
    """Return what the Python text *program* prints.

    Raises:
        AssertionError: it failed; its error output is in the message.
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
