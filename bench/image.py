# SPDX-License-Identifier: MIT
"""Memory of a chosen size in a chosen number of mappings, of which a request writes some pages."""

from __future__ import annotations

import mmap
import os

PAGE = mmap.PAGESIZE
# Every other page is written: neighbours would be cheaper than what real requests leave.
STRIDE = 2 * PAGE


class Image:
    """Private memory that is all there (its pages are in memory, and none of them is zero).

    Parameters:
        mib: size in MiB, of all mappings together.
        mappings: how many; their pages are written in turn.
    """

    def __init__(self, mib: int, mappings: int) -> None:
        size = (mib << 20) // mappings // STRIDE * STRIDE
        self.views = []
        for number in range(mappings):
            mapping = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            # One page a fault, whatever the machine's setting is.
            mapping.madvise(mmap.MADV_NOHUGEPAGE)
            if number % 2:
                # Neighbours that differ in nothing would become one mapping.
                mapping.madvise(mmap.MADV_DONTDUMP)
            view = memoryview(mapping)
            view[::PAGE] = b"\x01" * (size // PAGE)
            self.views.append(view)
        self.pages = mappings * (size // STRIDE)

    @classmethod
    def of_environment(cls) -> Image:
        """Return the image that BENCH_MIB and BENCH_MAPPINGS describe."""
        return cls(int(os.environ["BENCH_MIB"]), int(os.environ["BENCH_MAPPINGS"]))

    def write(self, first: int, count: int) -> None:
        """Write one byte in each of *count* pages from the *first*, as they are written in turn."""
        if first + count > self.pages:
            raise ValueError(f"{self.pages} pages can be written, not {first} to {first + count}")
        for number in range(min(len(self.views), count)):
            start, rest = divmod(first + number, len(self.views))
            pages = (count - number - 1) // len(self.views) + 1
            at = start * STRIDE
            self.views[rest][at : at + pages * STRIDE : STRIDE] = b"\x02" * pages
