# SPDX-License-Identifier: MIT
"""What this machine and this Python can do."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from dataclasses import dataclass

from .. import engines
from ..engines.base import Engine, Verdict
from ..errors import EngineError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of engines: *remedy* is for what it lacks, or is slower for."""

    name: str
    available: bool
    remark: str
    remedy: str = ""


def table() -> list[Row]:
    """Return every engine lwcgi is designed for."""
    rows = []
    for engine in engines.ENGINES.values():
        verdict = engine.examine()
        rows.append(
            Row(
                name=engine.name,
                available=not verdict.lacks,
                remark=verdict.lacks or _told(engine, verdict),
                remedy=verdict.remedy,
            )
        )
    return rows


def choose(name: str) -> tuple[Engine, str]:
    """Return the engine that *name* stands for on this machine, and why.

    Parameters:
        name: one of config.ENGINES.

    Raises:
        EngineError: the engine asked for cannot run here.
    """
    engine = engines.choose(name)
    verdict = engine.examine()
    if verdict.lacks:
        raise EngineError(f"engine {name} cannot run here: {verdict.lacks}", verdict.remedy)
    if name != "auto":
        return engine, f"as asked: {_told(engine, verdict)}"
    why = f"chosen by auto: {_told(engine, verdict)}"
    for better in engines.ENGINES.values():
        if better is engine:
            break
        if better.automatic:
            why += f"; not {better.name}: {better.examine().lacks}"
    return engine, why


def _told(engine: Engine, verdict: Verdict) -> str:
    slower = f"; slower here: {verdict.slower}" if verdict.slower else ""
    return engine.summary + slower


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
