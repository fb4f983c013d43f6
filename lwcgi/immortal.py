# SPDX-License-Identifier: MIT
"""Fewer pages: the snapshot's objects no longer count their references.

Most of what a request writes to memory are reference counts that go up and down again. CPython
3.12 has a count that means "never freed" (PEP 683) and is not touched any more. Under an engine
that puts everything back after each request nothing of the snapshot is ever freed anyway, so all
of its objects may have it.

What shows: within a request, dropping the last reference to an object of the snapshot does not
run its finaliser, and ``sys.getrefcount`` of it is large.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from . import _core

# What may be running: its count is the interpreter's business, and it is gone soon.
_RUNNING = {types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType}


def lacks() -> str:
    """Return why this Python's objects cannot be made immortal; empty where they can."""
    if _immortal() < 1 << 30:
        return "only CPython 3.12 and later have immortal objects"
    scratch = object()
    mortal = _core.reference_count(id(scratch))
    if mortal != sys.getrefcount(scratch) - 1:
        return "reference counts lie elsewhere than expected"
    _core.set_reference_counts([id(scratch)], _immortal())
    more = [scratch] * 10
    del more
    held = _core.reference_count(id(scratch)) == _immortal()
    _core.set_reference_counts([id(scratch)], mortal)
    return "" if held else "a count that means immortal does not stay so"


def apply() -> int:
    """Make immortal what the garbage collector knows and is not frozen, and what hangs on it.

    Returns how many objects. To be called where `lacks` returns nothing, after ``gc.collect()``.
    """
    count = _immortal()
    done = 0
    todo = [item for item in gc.get_objects() if type(item) not in _RUNNING]
    while todo:
        _core.set_reference_counts([id(item) for item in todo], count)
        done += len(todo)
        # By their real type: isinstance() would run the code of lazy objects and proxies.
        found = {
            id(item): item
            for item in _beneath(todo)
            if sys.getrefcount(item) < count and type(item) not in _RUNNING
        }
        todo = list(found.values())
    return done


def _beneath(items: Iterable[Any]) -> Iterator[object]:
    """Return what hangs on *items*."""
    for item in items:
        yield from gc.get_referents(item)
        if issubclass(type(item), dict):
            yield from dict.__iter__(item)  # no referents where all of them are strings
        elif type(item) is types.CodeType:
            # Not known to the collector, and so neither is what it refers to.
            yield from (item.co_consts, item.co_names, item.co_filename, item.co_name)
            yield from (item.co_qualname, item.co_linetable, item.co_exceptiontable)


def _immortal() -> int:
    """Return the count of an object that is immortal from the start."""
    return _core.reference_count(id(None))
