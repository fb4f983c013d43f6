# SPDX-License-Identifier: MIT
"""Uniqueness: what would repeat in two requests that start from one snapshot is made anew.

`survey` looks once, at freezing time, for everything that holds random state; `renew` refreshes
it at the start of each request, in microseconds. What draws from the kernel every time
(``secrets``, ``uuid4``, ``os.urandom``) needs neither, nor do OpenSSL and ``cryptography``,
which notice that they are in another process. What counts in memory does repeat.

Fork hooks such as the one of ``random`` may have run before; nothing here relies on it.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from _random import Random as RandomCore
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ._core import MersenneTwister

_ENTROPY = 32  # bytes for one generator
_SQLITES = ("_sqlite3", "pysqlite3._sqlite3", "apsw")
# Native generators out of reach, and what refreshes them.
_REMEDIES = {"torch": "torch.seed()", "uuid_utils": "uuid_utils.reseed_rng()"}
# Ticks of 100 ns from 1582-10-15 to 1970-01-01 (RFC 9562, section 5.1).
_GREGORIAN = 0x01B21DD213814000

_steps: list[Callable[[], object]] = []
_repeating: list[str] = []


def survey() -> list[str]:
    """Find what has to be renewed, and prepare `renew`; return a line for each thing found.

    Renews everything once, which shows whether that works. Seeds that the application chose are
    lost by it: they would make every request draw the same numbers.
    """
    _steps.clear()
    _repeating.clear()
    gc.unfreeze()  # what the application froze would not be found
    _reset_modules()
    _steps.append(_reset_modules)
    found = [*_randoms(), *_numpys(), *_sqlites()]
    _repeating.extend(
        f"{name}: call {remedy} in an after_restore hook"
        for name, remedy in _REMEDIES.items()
        if name in sys.modules
    )
    _make_uuid1_unique()
    return [*_describe(found), "names of temporary files", "uuid.uuid1"]


def repeats() -> list[str]:
    """Return a line for each thing `survey` found that will draw the same in every request."""
    return list(_repeating)


def renew() -> None:
    """Refresh everything that `survey` found."""
    for step in _steps:
        step()


def _add(step: Callable[[], object], item: Any) -> bool:
    """Try *step*, which refreshes *item*; let `renew` do it as well, if it worked."""
    try:
        step()
    except Exception as error:  # noqa: BLE001 - a class of the application may do anything
        _cannot(item, f"{type(error).__name__}: {error}")
        return False
    _steps.append(step)
    return True


def _cannot(item: Any, why: str) -> None:
    _repeating.extend(
        f"{line}: refresh it in an after_restore hook ({why})" for line in _describe([item])
    )


# --- finding and naming ------------------------------------------------------


def _instances(*kinds: type) -> list[Any]:
    """Return the living objects of *kinds*.

    Goes by their real type: isinstance() would run the code of lazy objects and proxies.
    """
    matching: dict[type, bool] = {}
    found = []
    for item in gc.get_objects():
        kind = type(item)
        if kind not in matching:
            matching[kind] = issubclass(kind, kinds)
        if matching[kind]:
            found.append(item)
    return found


def _names(items: Iterable[object]) -> dict[int, str]:
    """Return ``module.attribute`` by id for those of *items* that have such a name."""
    wanted = {id(item) for item in items}
    names: dict[int, str] = {}
    for name, module in list(sys.modules.items()):
        if type(module) is type(sys):  # others may make attributes up
            for attribute, value in list(vars(module).items()):
                if id(value) in wanted:
                    names.setdefault(id(value), f"{name}.{attribute}")
    return names


def _describe(items: list[Any]) -> list[str]:
    """Return a line for each of *items* that a module names, and one per kind for the others."""
    names = _names(items)
    lines = []
    nameless: dict[str, int] = {}
    for item in items:
        kind = f"{type(item).__module__}.{type(item).__qualname__}"
        if type(item) is type(sys):
            lines.append(f"the generator of {item.__name__}")
        elif id(item) in names:
            lines.append(f"{names[id(item)]} ({kind})")
        else:
            nameless[kind] = nameless.get(kind, 0) + 1
    return lines + [f"{count} {kind}, not named in a module" for kind, count in nameless.items()]


# --- the standard library ----------------------------------------------------


def _reset_modules() -> None:
    """Have ``tempfile`` make a new generator, and ``uuid`` trust the clock."""
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None
    uuid: Any = sys.modules.get("uuid")
    if uuid is not None:
        uuid._last_timestamp = None


def _randoms() -> list[Any]:
    """Prepare generators of ``random``; return those that will be renewed."""
    usual, renewed = [], []
    for item in _instances(random.Random):
        kind = type(item)
        if kind.seed is random.Random.seed and kind.random is random.Random.random:
            usual.append(item)
        elif kind.seed is random.Random.seed:
            _cannot(item, "it has its own random(), which seed() does not reach")
        elif not issubclass(kind, random.SystemRandom) and _add(item.seed, item):
            renewed.append(item)

    slow = []
    for item in usual:
        try:
            _steps.append(MersenneTwister(item).renew)
        except ValueError:
            slow.append(item)

    def reseed() -> None:
        for item in slow:
            # What Random.seed() does, in half of the time.
            RandomCore.seed(item, int.from_bytes(os.urandom(_ENTROPY)))
            item.gauss_next = None

    if slow:
        _add(reseed, slow)
    return usual + renewed


def _make_uuid1_unique() -> None:
    """Have ``uuid1()`` draw what tells apart two values of one moment.

    libuuid would draw once, and each request would inherit that. Imports ``uuid``, because so
    it would in a request that is the first to import it.
    """
    import uuid

    uuid.getnode()  # still the true one: it is remembered
    # Where uuid1() takes its time from.
    uuid._generate_time_safe = _time_uuid  # type: ignore[attr-defined] # private: not in the stubs


def _time_uuid() -> tuple[bytes, int]:
    """Return a UUID of version 1 and 0, which means safe among processes.

    Clock sequence and node are random, 61 bits in all (RFC 9562, section 6.10), and new each
    time: nothing is kept that a snapshot could repeat.
    """
    ticks = time.time_ns() // 100 + _GREGORIAN
    drawn = int.from_bytes(os.urandom(8)) >> 2  # 14 bits of clock sequence, 48 of node
    high = (ticks & 0xFFFFFFFF) << 32 | (ticks >> 16) & 0xFFFF0000 | 0x1000 | ticks >> 48 & 0xFFF
    return (high << 64 | 2 << 62 | drawn | 1 << 40).to_bytes(16), 0


# --- others ------------------------------------------------------------------


def _numpys() -> list[Any]:
    """Prepare generators of numpy; return those that will be renewed."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is None:
        return []
    sources = {id(item): item for item in _instances(numpy.BitGenerator)}
    users = [(item, numpy.Generator) for item in _instances(numpy.Generator)]
    modern = {id(item._bit_generator) for item, _ in users}
    steps: list[tuple[Callable[[], object], Any]] = []
    for item in _instances(numpy.RandomState):
        source = item._bit_generator
        if type(source) is numpy.MT19937 and id(source) not in modern:
            # A tenth of the time that a new state takes. It leaves no seed sequence, which
            # only a Generator has a use for.
            steps.append((partial(_seed, item), item))
            sources.pop(id(source), None)
        else:
            users.append((item, numpy.RandomState))
    # Not only the state: the seed sequence too, from which spawn() derives others.
    steps += [(item.__init__, item) for item in sources.values()]
    # Takes the new lock, and drops the second half of a pair of normal deviates.
    steps += [(partial(kind.__init__, item, item._bit_generator), item) for item, kind in users]
    renewed = [item for step, item in steps if _add(step, item)]
    used = {id(getattr(source, "_seed_seq", None)) for source in sources.values()}
    renewed += [
        item
        for item in _instances(numpy.SeedSequence)
        if id(item) not in used and _add(partial(item.__init__, pool_size=item.pool_size), item)
    ]
    parts = {id(item._bit_generator) for item, _ in users}
    return [item for item in renewed if id(item) not in parts]


def _seed(item: Any) -> None:
    item.seed(list(os.urandom(_ENTROPY)))


def _sqlites() -> list[Any]:
    """Prepare SQLite's random() and randomblob(); return the modules whose will be renewed.

    SQLite notices another process only when it opens a database file.
    """
    renewed = []
    for name in _SQLITES:
        module: Any = sys.modules.get(name)
        if module is not None:
            import ctypes

            try:
                reset = ctypes.CDLL(getattr(module, "__file__", None)).sqlite3_randomness
            except (OSError, AttributeError) as error:
                _cannot(module, str(error))
                continue
            if _add(partial(reset, 0, None), module):
                renewed.append(module)
    return renewed
