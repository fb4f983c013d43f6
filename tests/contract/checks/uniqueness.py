# SPDX-License-Identifier: MIT
"""Promise 6: no two requests draw the same randomness."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

from tests.harness import until

if TYPE_CHECKING:
    from tests.harness import Gateway

_REQUESTS = 15


def _draws(gateway: Gateway, count: int) -> list[dict[str, object]]:
    answers = [gateway.get("/").json() for _ in range(count)]
    return [answer["draws"] for answer in answers]


def nothing_is_drawn_twice(gateway: Gateway) -> None:
    """Every source differs from request to request, in two workers and in their successors."""
    options = {"workers": 2, "max-request-memory": 0, "timeout": "30s"}
    with gateway.another(app="tests.apps.draws:app", options=options) as drawing:
        draws = _draws(drawing, _REQUESTS)
        old = until(lambda: two(drawing.workers()), "two workers")
        for worker in old:
            os.kill(worker, signal.SIGKILL)
        until(lambda: two(set(drawing.workers()) - set(old)), "two new workers")
        draws += _draws(drawing, _REQUESTS)
        # What is derived from memory alone does repeat: these are contexts of one snapshot.
        assert [drawing.get("/counted").json() for _ in range(3)] == [1, 1, 1]
    for source in draws[0]:
        repeated = [v for v, n in Counter(str(draw[source]) for draw in draws).items() if n > 1]
        assert not repeated, f"{source} repeats itself: {repeated}"


def two(workers: set[int] | list[int]) -> list[int]:
    """Return *workers* where there are two, nothing otherwise."""
    return list(workers) if len(workers) == 2 else []


def fork_hooks_have_run(gateway: Gateway) -> None:
    """Hooks of os.register_at_fork run in every context, once for its worker and once for it."""
    for _ in range(2):
        assert gateway.get("/fork_hooks").json() == 2


CHECKS = (nothing_is_drawn_twice, fork_hooks_have_run)
