# SPDX-License-Identifier: MIT
"""An application whose requests are little programs of misbehaviour.

`POST /run` takes a JSON list of [act, a, b], two small numbers each act makes of what it likes, and
does them in order; what is refused by the kernel is skipped. An act named like one of the ends of
tests.apps.ends ends the request: before the headers, in the middle of the answer or after it,
depending on a. `GET /acts` tells what there is, `GET /state` what a pristine request sees,
`GET /regression` runs a module of CPython's tests.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from typing import TYPE_CHECKING

import lwcgi
from tests.apps import ends, observed, regression
from tests.apps.torture import attributes, files, memory, signals, tasks
from tests.apps.torture.scene import ACTS, KINDS, Refused, Scene, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Environ = dict[str, object]
    Program = list[tuple[str, int, int]]

BEFORE, MIDDLE, AFTER = range(3)

_FAMILIES = (attributes, files, memory, signals, tasks)
_afterwards: Callable[[], object] = ends.goes_on


def _kill_group() -> None:
    # A request that has joined another group would hit that.
    if os.getpgrp() == os.getpid():
        ends.kill_group()


ENDS: dict[str, Callable[[], object]] = {
    **ends.ENDS,
    "kill_group": _kill_group,
}
del ENDS["goes_on"]


@lwcgi.after_response
def after_response() -> None:
    """End as the program said."""
    _afterwards()


def _perform(scene: Scene, name: str, a: int, b: int) -> str:
    try:
        ACTS[name](scene, a, b)
    except (OSError, Refused, MemoryError, ImportError, subprocess.SubprocessError) as refusal:
        return f"{type(refusal).__name__}: {refusal}"
    except RuntimeError as refusal:
        if "thread" not in str(refusal):
            raise
        return str(refusal)
    return "done"


def run(program: Program) -> Iterator[bytes]:
    """Do the acts; yield the answer in two pieces, and end in between if the program wants it."""
    global _afterwards
    scene, results = Scene(), []
    for name, a, b in program:
        if name in ENDS:
            when = a % 3
            if when == BEFORE:
                ENDS[name]()
            elif when == AFTER:
                _afterwards = ENDS[name]
            yield b"["
            if when == MIDDLE:
                ENDS[name]()
            break
        if not scene.copy:
            results.append(_perform(scene, name, a, b))
    else:
        yield b"["
    for area in scene.areas:
        area.check()
    yield json.dumps(results).encode()[1:]


def _state() -> dict[str, object]:
    """Everything, without leaving a trace that would need another process to get rid of."""
    found: dict[str, object] = {name: part() for name, part in observed.PARTS.items()}
    found |= {"torture": fingerprint(), "usable": _usable()}
    return found | {"pid": os.getpid(), "root": os.getppid()}


def _usable() -> list[str]:
    usable = []
    for name in os.listdir("/proc/self/fd"):
        try:
            fcntl.fcntl(int(name), fcntl.F_GETFD)
            usable.append(name)
        except OSError:
            pass  # the one that listed the directory, or not this process's to use
    return usable


def app(environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer one request."""
    path, headers = environ["PATH_INFO"], [("Content-Type", "application/json")]
    if path == "/run":
        # wsgi.input is a file; environ has no types.
        program = json.loads(environ["wsgi.input"].read())  # type: ignore[attr-defined]
        pieces = run(program)
        first = next(pieces)
        start_response("200 OK", headers)
        return _joined(first, pieces)
    answer: object = KINDS | dict.fromkeys(ENDS, "end")
    if path == "/state":
        answer = _state()
    elif path == "/regression":
        answer = regression.answer(str(environ["QUERY_STRING"]))
    start_response("200 OK", headers)
    return [json.dumps(answer).encode()]


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
