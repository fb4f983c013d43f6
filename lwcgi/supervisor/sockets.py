# SPDX-License-Identifier: MIT
"""Listening addresses: parsed, bound, and taken away again."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import BindError, ConfigError
from . import inherited
from .activation import SCHEME
from .identity import Identity

# sizeof(sun_path) less the closing NUL (unix(7)).
_LONGEST_PATH = 107
_PROBE_SECONDS = 1.0
_HIGHEST_FD = (1 << 31) - 1


@dataclass(frozen=True)
class Address:
    """One ``--bind`` value: a Unix socket's absolute path, a TCP host and port, or a descriptor."""

    path: str = ""
    host: str = ""
    port: int = 0
    fd: int = -1

    def __str__(self) -> str:
        if self.fd >= 0:
            return f"{SCHEME}{self.fd}"
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """Return the address written as ``unix:PATH``, ``HOST:PORT``, ``[IPV6]:PORT`` or ``fd://N``.

    A relative path is taken from the current directory.

    Raises:
        ConfigError: it is neither, or a path too long for a socket.
    """
    scheme, _, path = text.partition(":")
    if scheme == "unix":
        if not path or path.startswith("@") or "\0" in path:
            raise ConfigError(
                f"{text!r} names no socket file", "write unix:PATH, for example unix:/run/app.sock"
            )
        absolute = os.path.abspath(path)
        if len(os.fsencode(absolute)) > _LONGEST_PATH:
            raise ConfigError(
                f"socket path {absolute} is longer than {_LONGEST_PATH} bytes",
                "choose a shorter directory, for example /run/lwcgi/",
            )
        return Address(path=absolute)
    if text.startswith(SCHEME):
        number = text.removeprefix(SCHEME)
        if not (number.isascii() and number.isdigit()) or int(number) > _HIGHEST_FD:
            raise ConfigError(f"{text!r} names no descriptor", "write fd://N, for example fd://0")
        return Address(fd=int(number))
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    good_host = bare and "/" not in bare and (":" not in bare or host == f"[{bare}]")
    if not good_host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(
            f"{text!r} is not an address", "write unix:PATH, HOST:PORT, [IPV6]:PORT or fd://N"
        )
    return Address(host=bare, port=int(port))


class Listener:
    """A bound, listening, non-blocking socket; `close` removes the file it made.

    Parameters:
        address: where to listen.
        backlog: length of the queue, in connections (listen(2)); an inherited socket has its own.
        allow_remote: an address other than loopback is wanted.
        mode: permissions of a socket file.
        owner: whose a socket file is; None for this process's user.

    Raises:
        BindError: the address is in use, not ours to take, or not local.
    """

    def __init__(
        self,
        address: Address,
        backlog: int,
        allow_remote: bool,
        mode: int = 0o660,
        owner: Identity | None = None,
    ) -> None:
        self.made: tuple[int, int] | None = None
        """Device and inode of the socket file, where it is ours to remove."""
        self.address = address
        if address.fd >= 0:
            self.socket = inherited.take(address.fd, allow_remote)
        elif address.path:
            self.socket = self._listen_unix(address, backlog, mode, owner)
        else:
            self.socket = _listen_tcp(address, backlog, allow_remote)
            host, port = self.socket.getsockname()[:2]
            self.address = Address(host=host, port=port)
        self.socket.setblocking(False)

    def __str__(self) -> str:
        if self.address.fd >= 0:
            return f"{self.address} ({inherited.place(self.socket)})"
        return str(self.address)

    @classmethod
    def inherit(cls, address: Address, fd: int, made: tuple[int, int] | None) -> Listener:
        """Return the listener that another one with these properties was.

        Raises:
            OSError: *fd* is no socket.
        """
        listener = cls.__new__(cls)
        listener.socket = socket.socket(fileno=fd)
        listener.address = address
        listener.made = made
        listener.socket.setblocking(False)
        return listener

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self.socket.fileno()

    def close(self) -> None:
        """Stop listening here and unlink the socket file, if it is still the one we made."""
        if self.made is not None and _identity(self.address.path) == self.made:
            try:
                os.unlink(self.address.path)
            except OSError:
                pass
        self.made = None
        self.socket.close()

    def _listen_unix(
        self, address: Address, backlog: int, mode: int, owner: Identity | None
    ) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _only_one_at_a_time(os.path.dirname(address.path)):
                _remove_stale(address)
                before = os.umask(0o777 & ~mode)
                try:
                    listener.bind(address.path)
                finally:
                    os.umask(before)
                self.made = _identity(address.path)
                if owner is not None:
                    os.chown(address.path, owner.uid, owner.gid, follow_symlinks=False)
                listener.listen(backlog)
        except OSError as error:
            listener.close()
            raise _bind_error(address, error) from error
        except BindError:
            listener.close()
            raise
        return listener


def _listen_tcp(address: Address, backlog: int, allow_remote: bool) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise BindError(
            f"cannot listen on {address}: no such host", "use an IP address of this machine"
        ) from error
    # A name with both kinds of address means the IPv4 one, as in 127.0.0.1 for localhost.
    family, kind, protocol, _, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    ip = str(where[0])
    if not allow_remote and not ipaddress.ip_address(ip.partition("%")[0]).is_loopback:
        raise BindError(
            f"{address} can be reached from other machines, and FastCGI has no authentication",
            "bind unix:PATH or 127.0.0.1, or give --allow-remote if a firewall protects the port",
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _bind_error(address, error) from error
    return listener


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _only_one_at_a_time(directory: str) -> Iterator[None]:
    """Keep two gateways that start together from each removing the other's new socket."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _PROBE_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(fd)


def _remove_stale(address: Address) -> None:
    """Unlink a socket file that nobody listens on (a server that was killed leaves one)."""
    try:
        mode = os.lstat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(
            f"cannot listen on {address}: the path exists and is not a socket",
            "choose another path, or remove the file if it is not needed",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # A full queue or another kind of socket: somebody is there. Access denied: we cannot know.
            if isinstance(error, PermissionError):
                raise
    raise _bind_error(address, OSError(errno.EADDRINUSE, ""))


def _bind_error(address: Address, error: OSError) -> BindError:
    causes = {
        errno.EADDRINUSE: (
            "another server is listening there",
            "stop it, or choose another address with --bind",
        ),
        errno.EACCES: (
            "permission denied",
            "choose a port above 1023, or a directory this user may write to",
        ),
        errno.EPERM: ("permission denied", "choose a directory this user may write to"),
        errno.ENOENT: (
            "its directory does not exist",
            f"create it: mkdir -p {os.path.dirname(address.path)}",
        ),
        errno.ENOTDIR: ("its directory is a file", "choose another path"),
        errno.EROFS: ("the file system is read-only", "choose another directory"),
        errno.EADDRNOTAVAIL: (
            "this machine has no such address",
            "use one that `ip address` shows",
        ),
        errno.EAFNOSUPPORT: ("this machine has no IPv6", "use an IPv4 address"),
    }
    fallback = (os.strerror(error.errno or 0).lower(), "choose another address with --bind")
    cause, remedy = causes.get(error.errno or 0, fallback)
    return BindError(f"cannot listen on {address}: {cause}", remedy)
