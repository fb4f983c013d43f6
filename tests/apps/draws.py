# SPDX-License-Identifier: MIT
"""Draws from every source of randomness and uniqueness an application is likely to use."""

from __future__ import annotations

import json
import os
import random
import secrets
import ssl
import tempfile
import uuid
from typing import TYPE_CHECKING

import numpy as np
from cryptography.fernet import Fernet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GENERATOR = random.Random(1)
ARRAYS = np.random.default_rng(1)
LEGACY = np.random.RandomState(1)

# Each source has been used before freezing: what it keeps in memory is in the snapshot.
np.dot(np.ones((300, 300)), np.ones((300, 300)))


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


_draw()


counter = 0


def app(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer with one draw of each kind; `/counted` with a number that only memory knows."""
    global counter
    counter += 1
    start_response("200 OK", [("Content-Type", "application/json")])
    value: object = counter if environ["PATH_INFO"] == "/counted" else {"draws": _draw()}
    return [json.dumps(value).encode()]
