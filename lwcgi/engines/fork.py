# SPDX-License-Identifier: MIT
"""The `fork` engine: each request runs in a copy-on-write child process, then thrown away."""

from __future__ import annotations

from .. import _core
from ..config import LEVELS
from .base import Engine

ENGINE = Engine(
    name="fork",
    number=_core.ENGINE_FORK,
    levels=LEVELS,
    forks=True,
    summary="every request in a fresh copy-on-write process; isolates, on any Linux",
)
