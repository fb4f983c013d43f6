# SPDX-License-Identifier: MIT
"""What a worker says of itself: late imports, once; what it served, when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness import Gateway

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
def app(environ, start_response):
    import colorsys
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""


def test_late_imports_are_named_once_per_worker(tmp_path: Path) -> None:
    """A request that still imports is logged once, with the advice to warm it up."""
    (tmp_path / "late.py").write_text(APP)
    with Gateway("late:app", options={"pythonpath": tmp_path}) as gateway:
        for _ in range(3):
            assert gateway.get("/").body == b"done"
        assert gateway.stop() == 0
        lines = [line for line in gateway.log().splitlines() if "snapshot lacks" in line]
        assert len(lines) == 1, gateway.log()
        assert "colorsys" in lines[0]
        assert "--warmup" in lines[0]


def test_warmed_imports_are_not_worth_a_line(tmp_path: Path) -> None:
    """After a warm-up request of the same path nothing is left to import."""
    (tmp_path / "late.py").write_text(APP)
    options = {"pythonpath": tmp_path, "no-warmup": False, "warmup": "/"}
    with Gateway("late:app", options=options) as gateway:
        assert gateway.get("/").body == b"done"
        assert gateway.stop() == 0
        assert "snapshot lacks" not in gateway.log()


def test_a_worker_tells_what_it_served() -> None:
    """The last line of a worker counts requests, and how they ended."""
    with Gateway() as gateway:
        gateway.get("/environment")
        gateway.get("/do?end=kill")
        gateway.get("/echo", CONTENT_LENGTH="no number")
        assert gateway.stop() == 0
        assert (
            "worker 1 ends: 3 requests, 2 contexts, 1 crashed, 0 timed out, 0 aborted, "
            "2 answered by the gateway, 0 connections handed on, 0 leftover processes killed"
        ) in gateway.log()
