# SPDX-License-Identifier: MIT
"""Hooks of os.register_at_fork: each context is another process, however it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = """\
import functools, os, threading

ran = []
lock = threading.Lock()
os.register_at_fork(before=functools.partial(ran.append, "first before"))
os.register_at_fork(before=functools.partial(ran.append, "last before"))
os.register_at_fork(after_in_child=functools.partial(ran.append, "first child"))
os.register_at_fork(after_in_child=lambda: ran.append("last child"))
# Held across the fork, as the library's own locks are.
os.register_at_fork(
    before=lock.acquire, after_in_child=lock.release, after_in_parent=lock.release
)

class Failing:
    def __call__(self):
        raise SystemExit("told to fail")

os.register_at_fork(after_in_child=Failing())
os.register_at_fork(after_in_child=lambda: ran.append("after the failure"))

def app(environ, start_response):
    said = [*ran, "locked" if lock.locked() else "not locked"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [", ".join(said).encode()]
"""

BEFORE = ["last before", "first before"]
CHILD = ["first child", "last child", "after the failure"]


@pytest.fixture(scope="module", params=["rewind", "fork"])
def hooked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose application has fork hooks."""
    folder = tmp_path_factory.mktemp("hooked")
    (folder / "hooked.py").write_text(APP)
    with Gateway("hooked:app", engine=request.param, options={"pythonpath": folder}) as gateway:
        yield gateway


def test_each_context_is_the_child_of_a_fork(hooked: Gateway) -> None:
    """Hooks run in CPython's order, for the worker and for each context; locks are released."""
    expected = ", ".join([*BEFORE, *CHILD, *BEFORE, *CHILD, "not locked"])
    assert [hooked.get("/").body.decode() for _ in range(3)] == [expected] * 3


def test_a_hook_that_fails_is_reported(hooked: Gateway) -> None:
    """What a hook raises is in the log, with its traceback, and hinders nobody."""
    told = hooked.log().count("SystemExit: told to fail")
    assert hooked.get("/").status == 200
    until(lambda: hooked.log().count("SystemExit: told to fail") > told, "the traceback")
    assert "Exception ignored in: <hooked.Failing object" in hooked.log()
    assert "release unlocked lock" not in hooked.log()
