# SPDX-License-Identifier: MIT
"""Listening sockets that somebody else has made."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lwcgi.errors import BindError
from lwcgi.supervisor import inherited
from lwcgi.supervisor.sockets import Listener, parse


def test_taken_over(tmp_path: Path) -> None:
    """The socket itself is served, without blocking; closing it leaves its file alone."""
    path = tmp_path / "s"
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    listener = Listener(parse(f"fd://{made.detach()}"), 10, False)
    assert str(listener) == f"{listener.address} (unix:{path})"
    assert listener.fileno() == listener.address.fd
    assert not listener.socket.getblocking()
    assert not os.get_inheritable(listener.fileno())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert path.is_socket()


def test_abstract_address() -> None:
    """An abstract address is told as systemd writes it."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("\0lwcgi-test-inherited")
        made.listen()
        assert inherited.place(made) == "unix:@lwcgi-test-inherited"


@pytest.mark.parametrize(
    ("host", "remote"),
    [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("::", True)],
)
def test_remote_address(host: str, remote: bool) -> None:
    """What others can reach needs --allow-remote; a socket that is refused stays open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as made:
        for allowed in (False, True):
            if remote and not allowed:
                with pytest.raises(BindError) as caught:
                    inherited.take(made.fileno(), allowed)
                assert "--allow-remote" in caught.value.remedy
            else:
                taken = inherited.take(made.fileno(), allowed)
                assert inherited.place(taken).endswith(f":{made.getsockname()[1]}")
                taken.detach()
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
