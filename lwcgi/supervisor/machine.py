# SPDX-License-Identifier: MIT
"""What this machine and this Python can do."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig

from .. import engines
from ..engines.base import Engine
from ..errors import EngineError

_LATER = ("rewind", "lwc")


def table() -> list[tuple[str, bool, str]]:
    """Return every engine lwcgi is designed for: its name, is it available here, a remark."""
    later = [(name, False, "not part of this version of lwcgi") for name in _LATER]
    return later + [(name, True, engine.summary) for name, engine in engines.ENGINES.items()]


def choose(name: str) -> tuple[Engine, str]:
    """Return the engine that *name* stands for on this machine, and why.

    Parameters:
        name: one of config.ENGINES.
    """
    engine = engines.choose(name)
    reason = "as asked" if name != "auto" else "chosen by auto"
    return engine, f"{reason}: {engine.summary}"


def refuse_unsupported() -> None:
    """Check that lwcgi runs on this Python and this machine at all.

    Raises:
        EngineError: it does not.
    """
    if sys.version_info < (3, 11):
        raise EngineError(
            f"Python {platform.python_version()} is too old", "use CPython 3.11, 3.12 or 3.13"
        )
    if platform.python_implementation() != "CPython":
        raise EngineError(
            f"{platform.python_implementation()} is not supported", "use CPython 3.11 to 3.13"
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise EngineError(
            "this is a free-threaded build of Python, whose threads cannot be frozen",
            "use a build with the GIL (python3.13 instead of python3.13t)",
        )
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        raise EngineError(
            f"{sys.platform} on {platform.machine()} is not supported",
            "use 64-bit Linux on x86-64",
        )


def describe() -> list[tuple[str, str]]:
    """Return what was found out about the machine, as (what, value) lines."""
    return [
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("machine", platform.machine()),
        ("cores", str(len(os.sched_getaffinity(0)))),
    ]
