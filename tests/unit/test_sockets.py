# SPDX-License-Identifier: MIT
"""Listening addresses: what is accepted, what is replaced, what is left alone."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lwcgi.errors import BindError, ConfigError
from lwcgi.supervisor.sockets import Address, Listener, parse

Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """A function that listens on an address given as text, until the end of the test."""
    with ExitStack() as stack:

        def start(text: str, allow_remote: bool = False) -> Listener:
            listener = Listener(parse(text), 10, allow_remote)
            stack.callback(listener.close)
            return listener

        yield start


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/a.sock", Address(path="/run/a.sock")),
        ("127.0.0.1:9000", Address(host="127.0.0.1", port=9000)),
        ("localhost:0", Address(host="localhost", port=0)),
        ("[::1]:9000", Address(host="::1", port=9000)),
    ],
)
def test_address(text: str, address: Address) -> None:
    """An address is unix:PATH, HOST:PORT or [IPV6]:PORT, and is written as it is read."""
    assert parse(text) == address
    assert str(address) == text


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is taken from the directory the command was started in."""
    monkeypatch.chdir(tmp_path)
    assert parse("unix:a.sock").path == f"{tmp_path}/a.sock"


@pytest.mark.parametrize(
    "text",
    [
        "", "unix:", "unix:@abstract", "unix:/" + "x" * 107, "/run/a.sock", "9000", ":9000", "host:",
        "host:port", "host:65536", "host:-1", "::1:9000", "http://host:80", "host:٣",
    ],
)  # fmt: skip
def test_not_an_address(text: str) -> None:
    """Anything else is a ConfigError with a remedy."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.remedy


def test_unix_socket(tmp_path: Path, listen: Listen) -> None:
    """A socket file has mode 0660 whatever the umask, listens, and does not block."""
    before = os.umask(0)
    try:
        listener = listen(f"unix:{tmp_path}/s")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    assert not listener.socket.getblocking()
    assert not os.get_inheritable(listener.fileno())
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(f"{tmp_path}/s")


def test_the_umask_is_put_back(tmp_path: Path, listen: Listen) -> None:
    """Making a socket file leaves the process's umask as it was."""
    before = os.umask(0o027)
    try:
        listen(f"unix:{tmp_path}/s")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_file_is_removed_at_the_end(tmp_path: Path) -> None:
    """Closing a listener removes its file, and closing it again does nothing."""
    listener = Listener(parse(f"unix:{tmp_path}/s"), 10, False)
    listener.close()
    assert not (tmp_path / "s").exists()
    (tmp_path / "s").touch()
    listener.close()
    assert (tmp_path / "s").exists()


def test_file_of_a_successor_stays(tmp_path: Path) -> None:
    """A file that somebody else has put in place of ours is not removed."""
    listener = Listener(parse(f"unix:{tmp_path}/s"), 10, False)
    (tmp_path / "s").rename(tmp_path / "old")
    (tmp_path / "s").touch()
    listener.close()
    assert (tmp_path / "s").exists()


def test_stale_file_is_replaced(tmp_path: Path, listen: Listen) -> None:
    """The socket file of a server that was killed is replaced."""
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(f"{tmp_path}/s")
    old = (tmp_path / "s").stat().st_ino, (tmp_path / "s").stat().st_ctime_ns
    listen(f"unix:{tmp_path}/s")
    assert ((tmp_path / "s").stat().st_ino, (tmp_path / "s").stat().st_ctime_ns) != old


def test_live_socket_is_left_alone(tmp_path: Path, listen: Listen) -> None:
    """A socket that somebody listens on is not taken away, also when its queue is full."""
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(f"{tmp_path}/s")
        other.listen(0)
        with closing(socket.socket(socket.AF_UNIX)) as first:
            first.connect(f"{tmp_path}/s")
            with pytest.raises(BindError) as caught:
                listen(f"unix:{tmp_path}/s")
    assert "another server is listening there" in caught.value.cause
    assert (tmp_path / "s").is_socket()


def test_datagram_socket_is_left_alone(tmp_path: Path, listen: Listen) -> None:
    """A socket of another kind is somebody's too."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
        other.bind(f"{tmp_path}/s")
        with pytest.raises(BindError):
            listen(f"unix:{tmp_path}/s")
    assert (tmp_path / "s").is_socket()


@pytest.mark.parametrize(
    "make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/dev/null")]
)
def test_other_files_are_left_alone(
    tmp_path: Path, listen: Listen, make: Callable[[Path], None]
) -> None:
    """A file, directory or symbolic link is never removed for a socket."""
    make(tmp_path / "s")
    with pytest.raises(BindError) as caught:
        listen(f"unix:{tmp_path}/s")
    assert "is not a socket" in caught.value.cause
    assert (tmp_path / "s").exists()


def test_tcp_port_of_the_kernels_choice(listen: Listen) -> None:
    """With port 0 the listener tells the port it got."""
    listener = listen("127.0.0.1:0")
    assert listener.address.port > 0
    with closing(socket.create_connection(("127.0.0.1", listener.address.port))):
        pass


def test_tcp_port_in_use(listen: Listen) -> None:
    """A port that is taken is a BindError that says so."""
    taken = listen("127.0.0.1:0")
    with pytest.raises(BindError) as caught:
        listen(str(taken.address))
    assert "another server is listening there" in caught.value.cause


@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0"])
def test_remote_address_needs_an_option(text: str, listen: Listen) -> None:
    """An address others can reach is refused without --allow-remote."""
    with pytest.raises(BindError) as caught:
        listen(text)
    assert "--allow-remote" in caught.value.remedy


def test_remote_address_with_the_option(listen: Listen) -> None:
    """With --allow-remote it is listened on."""
    assert listen("0.0.0.0:0", allow_remote=True).address.port > 0


def test_localhost(listen: Listen) -> None:
    """The name localhost is a loopback address."""
    assert listen("localhost:0").address.host in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("unix:/nonexistent/s", "its directory does not exist"),
        ("unix:/dev/null/s", "its directory is a file"),
        ("192.0.2.1:0", "this machine has no such address"),
        ("no-such-host.invalid:0", "no such host"),
    ],
)
def test_unusable_address(text: str, cause: str, listen: Listen) -> None:
    """An address that cannot be used is a BindError with cause and remedy."""
    with pytest.raises(BindError) as caught:
        listen(text, allow_remote=True)
    assert cause in caught.value.cause
    assert caught.value.remedy
