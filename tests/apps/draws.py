# SPDX-License-Identifier: MIT
"""Draws from every source of randomness and uniqueness an application is likely to use."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import ssl
import tempfile
import uuid
from typing import TYPE_CHECKING

import numpy as np
from cryptography.fernet import Fernet

from tests.apps import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GENERATOR = random.Random(1)
ARRAYS = np.random.default_rng(1)
LEGACY = np.random.RandomState(1)


def _multiply() -> None:
    """Use numpy's native threads, if this machine has more than one processor."""
    np.dot(np.ones((300, 300)), np.ones((300, 300)))


# Each source has been used before freezing: what it keeps in memory is in the snapshot.
_multiply()


def _draw() -> dict[str, object]:
    return {
        "random": random.random(),
        "a Random of the application": GENERATOR.random(),
        "secrets": secrets.token_hex(16),
        "uuid1": str(uuid.uuid1()),
        "uuid4": str(uuid.uuid4()),
        "urandom": os.urandom(16).hex(),
        "ssl": ssl.RAND_bytes(16).hex(),
        "cryptography": Fernet.generate_key().decode(),
        "tempfile": tempfile.mktemp(),  # the name alone is of interest
        "numpy's global generator": float(np.random.random()),
        "a numpy Generator of the application": float(ARRAYS.random()),
        "a numpy RandomState of the application": float(LEGACY.random_sample()),
    }


def _quick_draw() -> tuple[object, ...]:
    """One draw of each kind that differs from the others, and is made in a few microseconds."""
    return (
        random.random(),
        GENERATOR.random(),
        secrets.token_hex(16),
        uuid.uuid1(),
        uuid.uuid4(),
        ssl.RAND_bytes(16).hex(),
        float(ARRAYS.random()),
        float(np.random.random()),
    )


_draw()
_quick_draw()

counter = 0
# Lines of a few hundred bytes: appended whole, whoever else is writing.
LOG = os.open(
    os.path.join(os.environ["ACTS_FOLDER"], "draws"), os.O_CREAT | os.O_APPEND | os.O_WRONLY
)

ENDS: dict[str, Callable[[], object]] = {
    "/in-place": lambda: None,
    "/new-task": lambda: os.umask(0),
    "/native-threads": _multiply,
    "/fork": lambda: os.waitpid(os.fork() or os._exit(0), 0),
    "/exception": lambda: 1 // 0,
    "/exit": lambda: os._exit(0),
    "/crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "/new-worker": lambda: machine.membarrier(machine.MEMBARRIER_REGISTER_PRIVATE),
}
"""Ways to undo a request, and what makes it need them."""


def app(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer with one draw of each kind; `/counted` with a number that only memory knows.

    The paths of ENDS append their draws to the file `draws` instead, and go that way.
    """
    global counter
    counter += 1
    path = environ["PATH_INFO"]
    if path in ENDS:
        os.write(LOG, " ".join(map(str, _quick_draw())).encode() + b"\n")
        ENDS[path]()
    start_response("200 OK", [("Content-Type", "application/json")])
    value: object = counter if path == "/counted" or path in ENDS else {"draws": _draw()}
    return [json.dumps(value).encode()]
