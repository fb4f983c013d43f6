# SPDX-License-Identifier: MIT
"""Choosing the engine as the user that will run it.

What the kernel allows depends on the user; so a process of that user is asked, which also
shows that it can run this Python at all. It is ``python -m lwcgi.supervisor.examination NAME``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from ..errors import ConfigError, EngineError
from . import machine
from .environment import for_application
from .identity import Identity, credentials

_SECONDS = 60.0


@cache
def choose(name: str, identity: Identity | None) -> tuple[str, str]:
    """Return the name of the engine that *name* stands for on this machine, and why.

    It is found out once in a process.

    Parameters:
        name: one of config.ENGINES.
        identity: the user that will run it; None for this process's.

    Raises:
        EngineError: the engine asked for cannot run here.
        ConfigError: that user cannot run this Python.
    """
    if identity is None:
        engine, why = machine.choose(name)
        return engine.name, why
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, name],
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
        raise EngineError(f"{answer['cause']} (as {identity.name})", answer["remedy"])
    return answer["engine"], answer["why"]


def _cannot_run(identity: Identity, why: str) -> ConfigError:
    return ConfigError(
        f"user {identity.name} cannot run {sys.executable}: {why}",
        "Python, lwcgi and the application must lie where that user may read them, "
        "not in root's home for example",
    )


def main() -> None:
    """Answer on standard output, as JSON."""
    try:
        engine, why = machine.choose(sys.argv[1])
    except EngineError as error:
        answer = {"cause": error.cause, "remedy": error.remedy}
    else:
        answer = {"engine": engine.name, "why": why}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
