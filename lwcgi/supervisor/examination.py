# SPDX-License-Identifier: MIT
"""Choosing the engine as the user that will run it.

What the kernel allows depends on the user; so a process of that user is asked, which also
shows that it can run this Python at all. It is ``python -m lwcgi.supervisor.examination DOOR
WORDS``, and the words are those of `_answer`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

from ..engines import lwc
from ..errors import BY_EXIT_CODE, ConfigError, LwcgiError
from . import machine
from .environment import for_application
from .identity import Identity, credentials

_SECONDS = 60.0
_NO_LEVEL = "-"


@contextmanager
def door(identity: Identity | None, engine: str) -> Iterator[int]:
    """Yield the kernel module's door for processes of *identity*, who may not open it.

    It is -1 where they open it themselves, or need none for *engine*. It is closed afterwards: as
    long as a process has it, the module cannot be unloaded.
    """
    needed = identity is not None and engine in ("auto", lwc.ENGINE.name)
    fd = lwc.open_door() if needed else -1
    try:
        yield fd
    finally:
        if fd >= 0:
            os.close(fd)


@cache
def choose(name: str, level: str | None, identity: Identity | None) -> tuple[str, str]:
    """Return the name of the engine that *name* stands for on this machine, and why.

    It is found out once in a process.

    Parameters:
        name: one of config.ENGINES.
        level: one of config.LEVELS, or None, as for `machine.choose`.
        identity: the user that will run it; None for this process's.

    Raises:
        EngineError: the engine or the level asked for cannot be had here.
        ConfigError: the engine does not give the level, or that user cannot run this Python.
    """
    if identity is None:
        engine, why = machine.choose(name, level)
        return engine.name, why
    answer = _ask(identity, name, "choose", name, level or _NO_LEVEL)
    return answer["engine"], answer["why"]


def table(identity: Identity | None) -> list[machine.Row]:
    """Return every engine, as *identity* can run it; None for this process's user.

    Raises:
        ConfigError: that user cannot run this Python.
    """
    if identity is None:
        return machine.table()
    rows = _ask(identity, "auto", "table")["rows"]
    return [
        machine.Row(
            name=row["name"],
            levels=tuple(row["levels"]),
            remark=row["remark"],
            remedy=row["remedy"],
            missing=tuple((level, lacks, remedy) for level, lacks, remedy in row["missing"]),
        )
        for row in rows
    ]


def _ask(identity: Identity, engine: str, *words: str) -> Any:
    try:
        with door(identity, engine) as fd:
            done = subprocess.run(
                [sys.executable, "-P", "-m", __name__, str(fd), *words],
                pass_fds=[fd] if fd >= 0 else [],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="backslashreplace",
                timeout=_SECONDS,
                env=for_application(identity),
                check=True,
                **credentials(identity),
            )
        answer = json.loads(done.stdout)
    except OSError as error:
        raise _cannot_run(identity, f"{error.strerror}") from error
    except subprocess.CalledProcessError as error:
        last = str(error.stderr).strip().rpartition("\n")[2]
        raise _cannot_run(identity, last or f"exit code {error.returncode}") from error
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise _cannot_run(identity, f"{error}") from error
    if "cause" in answer:
        kind = BY_EXIT_CODE[answer["code"]]
        raise kind(f"{answer['cause']} (as {identity.name})", answer["remedy"])
    return answer


def _cannot_run(identity: Identity, why: str) -> ConfigError:
    return ConfigError(
        f"user {identity.name} cannot run {sys.executable}: {why}",
        "Python, lwcgi and the application must lie where that user may read them, "
        "not in root's home for example",
    )


def main() -> None:
    """Answer on standard output, as JSON."""
    lwc.inherit_door(int(sys.argv[1]))
    sys.stdout.write(json.dumps(_reply(sys.argv[2:])))


def _reply(words: list[str]) -> dict[str, Any]:
    try:
        return _answer(*words)
    except LwcgiError as error:
        return {"cause": error.cause, "remedy": error.remedy, "code": error.exit_code}


def _answer(what: str, name: str = "", level: str = _NO_LEVEL) -> dict[str, Any]:
    if what == "table":
        return {"rows": [asdict(row) for row in machine.table()]}
    engine, why = machine.choose(name, None if level == _NO_LEVEL else level)
    return {"engine": engine.name, "why": why}


if __name__ == "__main__":
    main()
