# SPDX-License-Identifier: MIT
"""What is done to the application before freezing, so that requests write to few pages."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
import sys

class Thing:
    pass

thing = Thing()
many = []

def app(environ, start_response):
    for size, count in ((100, 5_000), (2_000, 500), (1 << 20, 3)):
        many.extend(bytes(size) for _ in range(count))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(sys.getrefcount(thing)).encode()]
"""
IMMORTAL = sys.getrefcount(None)


def gateway(folder: Path, engine: str, **options: object) -> Gateway:
    """Return a gateway, not started, that tells everything."""
    (folder / "thing.py").write_text(APP)
    return Gateway(
        "thing:app", engine=engine, options={"pythonpath": folder, "log-level": "debug", **options}
    )


def test_objects_of_the_snapshot_are_immortal(tmp_path: Path) -> None:
    """Under `rewind` their references are not counted, where Python allows; the log tells."""
    with gateway(tmp_path, "rewind") as serving:
        counts = [int(serving.get("/").body) for _ in range(3)]
        if sys.version_info >= (3, 12):
            assert counts == [IMMORTAL] * 3
            assert re.search(r"\d{5,} objects of the snapshot are immortal", serving.log())
        else:
            assert max(counts) < 10
            assert "counted: only CPython 3.12 and later have immortal objects" in serving.log()


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_references_are_counted_where_that_is_asked(tmp_path: Path, engine: str) -> None:
    """Under --no-immortal they are, and in every engine that keeps what a request leaves."""
    with gateway(tmp_path, engine, **{"no-immortal": engine == "rewind"}) as serving:
        assert int(serving.get("/").body) < 10
        # A worker may answer before the log has what was said of it.
        serving.wait_for_log("INFO ready")
        assert "immortal" not in serving.log()
        told = "references to the snapshot's objects are counted: as asked" in serving.log()
        assert told == (engine == "rewind")


def test_requests_do_not_ask_for_memory(tmp_path: Path) -> None:
    """There is room for 5 MiB in objects of all sizes: no system call, and nothing is kept."""
    with gateway(tmp_path, "rewind") as serving:
        for _ in range(40):
            serving.get("/")
        serving.wait_for_log(r"undone in place, .*, 0 found by a scan, 0 calls seen$", 5)
        assert "1 calls seen" not in serving.log()
