# SPDX-License-Identifier: MIT
"""Snapshots that are too old, or were crashed too often, are made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness import Gateway, until
from tests.harness.code import Code

ENGINES = pytest.mark.parametrize("engine", ["rewind", "fork", "none"])


def test_maximum_age(serve: Callable[..., Gateway]) -> None:
    """A snapshot that has reached its maximum age is made anew, again and again."""
    with serve(snapshot_max_age="1s") as gateway:
        gateway.wait_for_log("INFO the snapshot has reached its maximum age: .* loaded again", 2)
        gateway.wait_for_log("INFO ready", 3)
        assert gateway.get("/").status == 200


def test_maximum_age_and_code_that_fails(serve: Callable[..., Gateway], code: Code) -> None:
    """Where it cannot be made anew the old one goes on, and it is tried again."""
    with serve(snapshot_max_age="1s") as gateway:
        code.write("two", "raise RuntimeError('half an update')")
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on", 2)
        assert gateway.get("/").body.startswith(b"one")
        code.write("three")
        until(lambda: gateway.get("/").body.startswith(b"three"), "the corrected code")


@ENGINES
def test_maximum_of_crashes(serve: Callable[..., Gateway], engine: str) -> None:
    """So many crashes, and the snapshot has new addresses; the next time not so soon."""
    with serve(engine, snapshot_max_crashes=3) as gateway:
        gateway.wait_for_log("ready")
        for _ in range(2):
            assert gateway.get("/crash").status == 500
        assert gateway.get("/").status == 200
        assert "loaded again" not in gateway.log()
        assert gateway.get("/crash").status == 500
        gateway.wait_for_log("INFO 3 requests have crashed since the snapshot .* loaded again")
        gateway.wait_for_log("INFO ready", 2)
        for _ in range(10):
            assert gateway.get("/crash").status == 500
        assert gateway.get("/").status == 200
        gateway.stop()
        assert gateway.log().count("INFO ready") == 2


@ENGINES
def test_other_ends_are_no_crashes(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """Exits, exceptions and timeouts do not count."""
    code.write(
        "one",
        """
        inner = app
        def app(environ, start_response):
            match environ["PATH_INFO"]:
                case "/exit":
                    os._exit(11)
                case "/raise":
                    raise RuntimeError
                case "/late":
                    time.sleep(9)
            return inner(environ, start_response)
        """,
    )
    with serve(engine, snapshot_max_crashes=1, timeout="300ms") as gateway:
        gateway.wait_for_log("ready")
        for path in ("/exit", "/raise", "/late"):
            assert gateway.get(path).status == 500
        assert gateway.get("/").status == 200
        assert "crashed since" not in gateway.log()
        assert gateway.get("/crash").status == 500
        gateway.wait_for_log("1 requests have crashed since")


@pytest.mark.parametrize("engine", ["rewind", "none"])
def test_forged_crashes(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """An application that reports crashes without end cannot make the supervisor busy."""
    code.write(
        "one",
        """
        import socket
        inner = app
        def packets(fd):
            try:
                with socket.socket(fileno=os.dup(fd)) as found:
                    return found.type == socket.SOCK_SEQPACKET
            except OSError:
                return False
        def app(environ, start_response):
            for fd in filter(packets, range(3, 64)):
                try:
                    for _ in range(2000):
                        os.write(fd, b"C forged")
                except OSError:
                    pass
            return inner(environ, start_response)
        """,
    )
    with serve(engine, snapshot_max_crashes=5) as gateway:
        gateway.wait_for_log("ready")
        for _ in range(3):
            assert gateway.get("/").status == 200
        until(lambda: "ERROR forged" in gateway.log() or engine == "rewind", "the forged lines")
        gateway.stop()
        assert gateway.log().count("INFO ready") <= 2
