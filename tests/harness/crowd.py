# SPDX-License-Identifier: MIT
"""Several threads that do the same over and over."""

from __future__ import annotations

import threading
from typing import Self


class Crowd:
    """Threads that act for as long as the context lasts.

    A subclass has `_act`, which returns when `_stop` is set.

    Parameters:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._act, args=(n,)) for n in range(size)]

    def _act(self, number: int) -> None:
        """Be the thread with this *number*, from 0."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)
