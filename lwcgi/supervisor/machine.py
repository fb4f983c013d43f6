# SPDX-License-Identifier: MIT
"""What this machine and this Python can do."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from dataclasses import dataclass

from .. import engines
from ..config import LEVELS, USUAL_LEVEL
from ..engines.base import Engine, Verdict
from ..errors import ConfigError, EngineError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of engines.

    Parameters:
        name: of the engine.
        levels: those of config.LEVELS that it gives here.
        remark: what it is, or why it cannot run here.
        remedy: for what it lacks, or is slower for.
        missing: of each level that it does not give here, why, and the remedy; nothing where it
            cannot run at all.
    """

    name: str
    levels: tuple[str, ...]
    remark: str
    remedy: str = ""
    missing: tuple[tuple[str, str, str], ...] = ()


def table() -> list[Row]:
    """Return every engine lwcgi is designed for, as this process's user can run it."""
    return [_row(engine) for engine in engines.ENGINES.values()]


def _row(engine: Engine) -> Row:
    verdict = engine.examine()
    if verdict.lacks:
        return Row(name=engine.name, levels=(), remark=verdict.lacks, remedy=verdict.remedy)
    found = {level: engines.verdict(engine, level) for level in LEVELS}
    return Row(
        name=engine.name,
        levels=tuple(level for level, given in found.items() if not given.lacks),
        remark=_told(engine, verdict),
        remedy=verdict.remedy,
        missing=tuple((name, v.lacks, v.remedy) for name, v in found.items() if v.lacks),
    )


def choose(name: str, level: str | None = None) -> tuple[Engine, str]:
    """Return the engine that *name* stands for on this machine, and why.

    Parameters:
        name: one of config.ENGINES.
        level: one of config.LEVELS that it must give; None for the usual one, or for none where
            the engine is named.

    Raises:
        ConfigError: the engine that is named does not give that level on any machine.
        EngineError: the engine, or the level, cannot be had here.
    """
    if name == "auto":
        return _cheapest(level or USUAL_LEVEL, asked=level is not None)
    engine = engines.ENGINES[name]
    verdict = engines.verdict(engine, level)
    if level is not None and level not in engine.levels:
        raise ConfigError(
            f"--engine {name} with --isolate {level}: {verdict.lacks}", verdict.remedy
        )
    if verdict.lacks:
        what = f"engine {name} cannot run here" + (f" with --isolate {level}" if level else "")
        raise EngineError(f"{what}: {verdict.lacks}", verdict.remedy)
    return engine, f"as asked: {_told(engine, verdict)}"


def _cheapest(level: str, asked: bool) -> tuple[Engine, str]:
    """Return the first engine that gives *level*, and why it is not a better one."""
    better = ""
    for engine in engines.ENGINES.values():
        verdict = engines.verdict(engine, level)
        if not verdict.lacks:
            why = f"chosen by auto{f' for --isolate {level}' if asked else ''}"
            return engine, f"{why}: {_told(engine, verdict)}{better}"
        better += f"; not {engine.name}: {verdict.lacks}"
    # The last that could give it runs anywhere: what is missing, every engine misses.
    lacking = engines.verdict(engines.ENGINES["fork"], level)
    raise EngineError(f"--isolate {level} is impossible here: {lacking.lacks}", lacking.remedy)


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
