# SPDX-License-Identifier: MIT
"""Program: draws random values in two copies of one snapshot; prints a JSON object of each.

The copies are made by a bare fork(2), behind Python's back: none of its fork hooks runs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import secrets
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from lwcgi import renew

libc = ctypes.PyDLL(None)


class OwnSeed(random.Random):
    """Refreshed by its own seed()."""

    def seed(self, *arguments: Any, **options: Any) -> None:
        """Count the calls, and seed."""
        self.seeded = getattr(self, "seeded", 0) + 1
        super().seed(*arguments, **options)


class Constant(random.Random):
    """Out of reach: its random() does not look at the seed."""

    def random(self) -> float:
        """Return what it always returns."""
        return 0.25


class Demanding(random.Random):
    """Out of reach: its seed() wants to be told."""

    def seed(self, a: Any = None, version: int = 2) -> None:
        """Refuse to choose."""
        if a is None:
            raise ValueError("seed me")
        super().seed(a, version)


seeded = random.Random(42)
own_seed = OwnSeed(42)
constant = Constant(42)
demanding = Demanding(42)
nested = {"hidden": [random.Random(42)]}
system = random.SystemRandom()
generator = np.random.default_rng(42)
sharing = np.random.Generator(generator.bit_generator)
philox = np.random.Generator(np.random.Philox(42))
sfc = np.random.Generator(np.random.SFC64(42))
dxsm = np.random.Generator(np.random.PCG64DXSM(42))
twister = np.random.Generator(np.random.MT19937(42))
bare = np.random.PCG64(42)
old_style = np.random.RandomState(42)
old_style_pcg = np.random.RandomState(np.random.PCG64(42))
shared_twister = np.random.RandomState(np.random.MT19937(42))
beside = np.random.Generator(shared_twister._bit_generator)
sequence = np.random.SeedSequence(42)
database = sqlite3.connect(":memory:")

DRAWS: dict[str, Callable[[], Any]] = {
    "random": random.random,
    "random.gauss": lambda: random.gauss(0, 1),
    "random.seeded": seeded.random,
    "random.seeded.gauss": lambda: seeded.gauss(0, 1),
    "random.own_seed": own_seed.random,
    "random.nested": nested["hidden"][0].random,
    "random.system": system.random,
    "secrets": secrets.token_hex,
    "urandom": lambda: os.urandom(8).hex(),
    "tempfile": lambda: os.path.basename(tempfile.mktemp()),
    "uuid1": lambda: str(uuid.uuid1()),
    "uuid4": lambda: str(uuid.uuid4()),
    "sqlite": lambda: database.execute("select hex(randomblob(8)), random()").fetchone(),
    "numpy": lambda: np.random.bytes(8).hex(),
    "numpy.normal": lambda: np.random.normal(),
    "numpy.generator": generator.random,
    "numpy.sharing": sharing.random,
    "numpy.uint32": lambda: int(generator.integers(1 << 32, dtype=np.uint32)),
    "numpy.spawn": lambda: generator.bit_generator._seed_seq.spawn(1)[0].generate_state(2).tolist(),
    "numpy.philox": philox.random,
    "numpy.sfc": sfc.random,
    "numpy.dxsm": dxsm.random,
    "numpy.twister": twister.random,
    "numpy.bare": lambda: int(bare.random_raw()),
    "numpy.old_style": lambda: old_style.normal(),
    "numpy.old_style_pcg": lambda: old_style_pcg.normal(),
    "numpy.shared_twister": shared_twister.random_sample,
    "numpy.beside": beside.random,
    "numpy.sequence": lambda: sequence.spawn(1)[0].generate_state(2).tolist(),
}


def draw() -> dict[str, Any]:
    """Draw from every source once."""
    return {name: source() for name, source in DRAWS.items()}


def in_a_copy(renewing: bool) -> dict[str, Any]:
    """Return what a copy of this process draws."""
    reading, writing = os.pipe()
    if libc.fork() == 0:
        if renewing:
            renew.renew()
        with open(writing, "w") as pipe:
            json.dump(draw(), pipe)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        drawn: dict[str, Any] = json.load(pipe)
    os.wait()
    return drawn


def main() -> None:
    """Use everything, survey, copy twice with renewal and twice without."""
    draw()  # odd numbers of normal deviates and of 32-bit integers: halves are kept for later
    native = uuid._generate_time_safe  # type: ignore[attr-defined]
    node = uuid.getnode()
    gc.freeze()  # an application may have done it
    found = renew.survey()
    draw()
    now = time.time_ns()
    time.time_ns = lambda: now  # every UUID of version 1 in one tick
    pid = os.getpid()
    os.getpid = lambda: pid  # as in an engine whose contexts share a process
    report = {
        "found": found,
        "repeats": renew.repeats(),
        "renewed": [in_a_copy(True), in_a_copy(True)],
        "control": [in_a_copy(False), in_a_copy(False)],
        "node kept": uuid.getnode() == node,
        "one tick": [uuid.UUID(bytes=renew._time_uuid()[0]).hex for _ in range(1000)],
        "own generator": uuid._generate_time_safe is not native,  # type: ignore[attr-defined]
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
