# SPDX-License-Identifier: MIT
"""Fewer pages: what a request allocates comes to lie together, in memory that is already there.

A loaded application leaves holes in hundreds of pages. A request's objects would be put there,
and each such page would have to be put back. So before freezing the holes are filled with blocks
that nobody uses, and the objects of a request share a few fresh pages.

A block for which there is no room is mapped and unmapped again in every request that needs it,
and each page of it costs a fault. Room that is there beforehand is memory like any other: its
pages are put back by copying. Measured, with a request that writes one large block (3-line
application, CPython 3.13, microseconds a request):

    ======== ============ ========= =======
    block    without room with room `none`
    ======== ============ ========= =======
    200 kB            240        55      22
    1 MB              560        82      37
    3 MB             2000       140      73
    10 MB            4600       570     240
    ======== ============ ========= =======
"""

from __future__ import annotations

from . import _core

MOST_BYTES = 8 << 20
"""More than this is not filled, of each allocator: no request uses up so many holes. What fills
them is memory that the process had and did not use."""

MALLOC_ROOM = 16 << 20
"""Fresh memory for blocks beyond 512 bytes. Pages of it that no request writes take no memory."""

PYMALLOC_ROOM = 2 << 20
"""Fresh memory for smaller blocks. All of it is written to, once for all workers."""


def malloc_room(limit: int) -> int:
    """Return MALLOC_ROOM, or less where a request may add only *limit* bytes (0: any)."""
    return min(MALLOC_ROOM, limit or MALLOC_ROOM)


def make_room(room: int) -> None:
    """Have *room* bytes for large blocks; once, in the process that forks the workers."""
    _core.make_room(PYMALLOC_ROOM, room)


def fill(room: int) -> int:
    """Fill the holes of pymalloc and of glibc's malloc; return how many bytes that took.

    *room* is what malloc was made to hold.
    """
    return _core.fill_holes(MOST_BYTES, room)
