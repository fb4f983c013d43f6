# SPDX-License-Identifier: MIT
"""What tests of reloads do with a gateway that serves tests.harness.code."""

from __future__ import annotations

import signal

from tests.contract.checks.asking import get
from tests.harness import Connection, Gateway, fastcgi, processes, until
from tests.harness.code import Code

# What a new version does while it is loaded; it goes on when the file is there.
HANG = "wait('load')"


def version(gateway: Gateway) -> str:
    """Return which version of the code answers."""
    answer = gateway.get("/")
    assert answer.status == 200
    return answer.body.decode().split()[0]


def reload(gateway: Gateway, times: int = 2) -> None:
    """Have the gateway load its application again, and wait until it is ready that often."""
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("INFO ready", times)


def started(gateway: Gateway, name: str = "load") -> None:
    """Wait until code of the application waits for the file *name*."""
    until((gateway.folder / f"{name}.started").exists, f"{name!r} to be waited for")


def begin_to_reload(gateway: Gateway, code: Code) -> None:
    """Have version two loaded, and wait until it waits for the file ``load``."""
    code.write("two", HANG)
    gateway.process.send_signal(signal.SIGHUP)
    started(gateway)


def slow(gateway: Gateway, name: str = "slow") -> Connection:
    """Return a connection whose request is under way until the file *name* is there."""
    connection = gateway.connect()
    connection.send(get(f"/slow?{name}", flags=fastcgi.KEEP_CONN))
    started(gateway, name)
    return connection


def one_is_left(gateway: Gateway) -> bool:
    """Is there one snapshot process, and no zombie beside it?"""
    children = processes.children(gateway.process.pid)
    return len(children) == 1 and children[0].state != "Z"
