# SPDX-License-Identifier: MIT
"""Time stamps that outlive the undoing: an application writes them into memory shared with us.

What a request leaves in the application's own memory is gone when it ends, which is the point of
the gateway. A shared mapping is not undone, and CLOCK_MONOTONIC is the same for every process.
So each request can tell when it began and ended, under every engine and without its help.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from time import monotonic_ns

FILE = "BENCH_STAMPS"
"""The environment variable that names the shared file."""

SLOTS = 1 << 16
FIELDS = ("begun", "renewed", "entered", "returned", "answered")
"""One request's stamps, in nanoseconds; zero is a moment that did not come."""

_WORDS = 1 + SLOTS * len(FIELDS)  # the first counts the requests


class Stamps:
    """The shared memory.

    Parameters:
        path: a file of memory, such as one in /dev/shm; made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        with open(path, "a+b") as file:
            file.truncate(_WORDS * 8)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self.words = memoryview(mmap.mmap(file.fileno(), _WORDS * 8, flags)).cast("q")

    def clear(self) -> None:
        """Forget all requests."""
        used = min(self.words[0], SLOTS) * len(FIELDS)
        self.words[: 1 + used] = memoryview(bytes(8 * (1 + used))).cast("q")


def stamped(application):
    """Return *application* writing stamps into the file that the environment names."""
    from lwcgi import after_response, after_restore  # the load generator does without

    words = Stamps(Path(os.environ[FILE])).words

    def stamp(field, request):
        words[1 + request % SLOTS * len(FIELDS) + field] = monotonic_ns()

    # A context runs fork hooks, then renews what must not repeat, then the hooks of its own kind.
    os.register_at_fork(after_in_child=lambda: stamp(0, words[0]))
    after_restore(lambda: stamp(1, words[0]))

    def measured(environ, start_response):
        request = words[0]
        words[0] = request + 1
        stamp(2, request)
        answer = application(environ, start_response)
        stamp(3, request)
        return answer

    after_response(lambda: stamp(4, words[0] - 1))
    return measured
