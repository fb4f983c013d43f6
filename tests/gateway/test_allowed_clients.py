# SPDX-License-Identifier: MIT
"""--allowed-clients, and FCGI_WEB_SERVER_ADDRS (FastCGI 1.0, section 3.2)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, fastcgi
from tests.harness.flup import LWCGI, Program

if TYPE_CHECKING:
    from tests.harness.client import Address

_ASK = fastcgi.record(fastcgi.GET_VALUES, 0, fastcgi.pair(b"FCGI_MPXS_CONNS", b""))


def _answers(address: Address, source: str) -> bool:
    """Tell whether a connection from the address *source* is answered."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(20)
        connection.bind((source, 0))
        connection.connect(address)
        try:
            connection.sendall(_ASK)
            return bool(connection.recv(1))
        except ConnectionError:
            return False


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_tcp(engine: str) -> None:
    """Over TCP only the named clients are answered; a Unix socket has permissions instead."""
    options = {"bind": ["127.0.0.1:0", "[::1]:0"], "allowed-clients": ["127.0.0.2", "::1"]}
    with Gateway(engine=engine, options=options) as gateway:
        pattern = r"listening on .*, 127\.0\.0\.1:(\d+), \[::1\]:(\d+)$"
        [(ipv4, ipv6)] = gateway.wait_for_log(pattern)
        for _ in range(3):
            assert not _answers(("127.0.0.1", int(ipv4)), "127.0.0.1")
            assert _answers(("127.0.0.1", int(ipv4)), "127.0.0.2")
        assert _answers(("::1", int(ipv6)), "::1")
        assert gateway.get("/quick").status == 200
        assert gateway.log().count("is not among --allowed-clients") == 1


@pytest.mark.parametrize("module", [LWCGI, "flup.server.fcgi", "flup.server.fcgi_single"])
def test_variable(module: str) -> None:
    """The variable of a web server that starts applications does the same, as with flup."""
    environ = {"FCGI_WEB_SERVER_ADDRS": "192.0.2.1, 127.0.0.1"}
    with Program(module, tcp=True, environ=environ) as program:
        assert not _answers(program.address, "127.0.0.2")
        assert program.get("/empty").status == 404
