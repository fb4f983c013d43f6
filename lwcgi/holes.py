# SPDX-License-Identifier: MIT
"""Fewer pages: what a request allocates comes to lie together.

A loaded application leaves holes in hundreds of pages. A request's objects would be put there,
and each such page would have to be put back. So before freezing the holes are filled with blocks
that nobody uses, and the objects of a request share a few fresh pages.
"""

from __future__ import annotations

import os
import sys

from . import _core

MOST_BYTES = 8 << 20
"""More than this is not filled: that many holes are not used up by a request."""

ROOM_BYTES = 4 << 20
"""Fresh memory for blocks beyond 512 bytes: enough for a request that builds an answer of a
megabyte. Pages of it that no request touches cost nothing."""


def fill() -> int:
    """Fill the holes of pymalloc and of glibc's malloc; return how many bytes that took."""
    filled = _core.fill_malloc(MOST_BYTES, ROOM_BYTES)
    if _has_pymalloc():
        filled += _core.fill_pymalloc(MOST_BYTES)
    return filled


def _has_pymalloc() -> bool:
    """Return whether small objects are pymalloc's, without the debug layer."""
    chosen = os.environ.get("PYTHONMALLOC", "default")
    return chosen in ("default", "pymalloc") and not sys.flags.dev_mode
