# SPDX-License-Identifier: MIT
"""The configuration at a reload."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.gateway.reloading import reload, version
from tests.harness import Gateway, until
from tests.harness.code import Code


def test_configuration_is_read_again(serve: Callable[..., Gateway], code: Code) -> None:
    """Settings from the file change at SIGHUP, but those that need a restart, by name."""
    file = code.folder / "lwcgi.toml"
    file.write_text("max-body = 10\n")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready: 1 worker,")
        assert gateway.post("/", b"x" * 20).status == 413
        file.write_text("max-body = 100\nbacklog = 7\n")
        reload(gateway)
        until(lambda: gateway.post("/", b"x" * 20).status == 200, "the new limit")
        gateway.wait_for_log("WARNING --backlog has changed: that takes a restart")


@pytest.mark.parametrize("text", ["max-body = 'huge'", "no-such = 1", "=", "timeout = -1"])
def test_configuration_that_is_wrong(serve: Callable[..., Gateway], code: Code, text: str) -> None:
    """A mistake in the file is told, and costs the reload, not the gateway."""
    file = code.folder / "lwcgi.toml"
    file.write_text("")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready")
        file.write_text(text)
        code.write("two")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on")
        assert version(gateway) == "one"
        file.write_text("")
        reload(gateway)
        until(lambda: version(gateway) == "two", "the new code")
