# SPDX-License-Identifier: MIT
"""Reloads that go wrong: the old code serves on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.gateway.reloading import begin_to_reload, one_is_left, reload, version
from tests.harness import Gateway, until
from tests.harness.code import Code
from tests.harness.running import NotUpError

FAILURES = {
    "raises": ("raise RuntimeError('bad release')", "ERROR RuntimeError: bad release"),
    "syntax": ("def (:", "ERROR SyntaxError: "),
    "missing": ("del app", "ERROR changing has no name app"),
    "gate": (
        "import threading\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "ERROR the application cannot be frozen: thread: ",
    ),
    "exits": ("os._exit(3)", "ERROR the process that loads the application ended with exit code 3"),
    "killed": ("os.kill(os.getpid(), 9)", "ERROR the process that loads .* was killed by SIGKILL"),
    "worker": (
        "os.register_at_fork(after_in_child=lambda: os._exit(7))",
        "ERROR worker 1 .* ended with exit code 7 before it was ready",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_new_code_that_fails(serve: Callable[..., Gateway], code: Code, name: str) -> None:
    """New code that cannot be served leaves the old code serving; the log has the cause."""
    more, told = FAILURES[name]
    with serve() as gateway:
        gateway.wait_for_log("ready")
        snapshot = gateway.snapshot()
        code.write("two", more)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(told)
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on")
        until(lambda: one_is_left(gateway), "what failed to go")
        assert gateway.snapshot() == snapshot
        assert version(gateway) == "one"
        code.write("three")
        reload(gateway)
        until(lambda: version(gateway) == "three", "the corrected code to answer")


def test_new_code_that_hangs(serve: Callable[..., Gateway], code: Code) -> None:
    """Loading that takes longer than --startup-timeout is given up; the log says where it hung."""
    with serve(startup_timeout="3s") as gateway:
        gateway.wait_for_log("ready")
        begin_to_reload(gateway, code)
        gateway.wait_for_log(r'app: +File ".*changing.py", line \d+ in wait')
        gateway.wait_for_log("ERROR the application did not get ready within 3 s")
        gateway.wait_for_log("ERROR not reloaded")
        assert version(gateway) == "one"


def test_start_that_hangs(serve: Callable[..., Gateway], code: Code) -> None:
    """The first start is limited too, and ends with the exit code of a failed start."""
    code.write("one", "time.sleep(100)")
    gateway = serve(startup_timeout="1s")
    with pytest.raises(NotUpError, match="it ended with code 3"):
        gateway.__enter__()


def test_snapshot_that_dies_during_a_reload(serve: Callable[..., Gateway], code: Code) -> None:
    """When the old generation dies while the new one is loaded, the new one serves."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        old = gateway.snapshot()
        begin_to_reload(gateway, code)
        os.kill(old, signal.SIGKILL)
        gateway.wait_for_log("ERROR the snapshot process is gone; .* is being loaded already")
        (gateway.folder / "load").touch()
        until(lambda: version(gateway) == "two", "the new code to answer")
        gateway.stop()
        assert gateway.log().count("INFO ready") == 2
