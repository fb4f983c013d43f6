# SPDX-License-Identifier: MIT
"""Listening sockets that somebody else has made and left open: examined and taken over.

A service manager passes them as descriptor 3 and following (sd_listen_fds(3)), programs such
as spawn-fcgi as descriptor 0 (FCGI_LISTENSOCK_FILENO; FastCGI Specification 1.0, section 2.2).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from ..errors import BindError

_STANDARD = (0, 1, 2)
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)


def take(fd: int, allow_remote: bool) -> socket.socket:
    """Return the listening socket that is open as descriptor *fd*.

    Parameters:
        fd: its number. Of 0, 1 and 2 a copy is made, as the application gets others there.
        allow_remote: an address other than loopback is wanted.

    Raises:
        BindError: there is no listening stream socket, or others could reach it.
    """
    here = f"cannot listen on fd://{fd}"
    copied = fd in _STANDARD
    try:
        number = os.dup(fd) if copied else fd
        found = socket.socket(fileno=number)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise BindError(
                f"{here}: no such descriptor is open",
                "it must be passed by what starts lwcgi, for example by a systemd socket unit",
            ) from error
        if copied:
            os.close(number)
        raise BindError(f"{here}: it is not a socket", "pass a listening socket") from error
    try:
        _examine(found, here, allow_remote)
    except BaseException:
        # What is not ours stays as it was.
        left = found.detach()
        if copied:
            os.close(left)
        raise
    found.set_inheritable(False)
    return found


def place(found: socket.socket) -> str:
    """Return where *found* listens, in the form of ``--bind``."""
    name = found.getsockname()
    if found.family == socket.AF_UNIX:
        path = os.fsdecode(name)
        return f"unix:@{path[1:]}" if path.startswith("\0") else f"unix:{path}"
    return f"[{name[0]}]:{name[1]}" if found.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _examine(found: socket.socket, here: str, allow_remote: bool) -> None:
    if found.family not in _FAMILIES or found.type != socket.SOCK_STREAM:
        raise BindError(
            f"{here}: it is no stream socket of Unix or TCP",
            "use ListenStream= in a systemd socket unit",
        )
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise BindError(
            f"{here}: it does not listen; a single connection is not enough",
            "use Accept=no in a systemd socket unit, `wait` in inetd.conf",
        )
    if found.family == socket.AF_UNIX or allow_remote:
        return
    ip = ipaddress.ip_address(found.getsockname()[0].partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if not ip.is_loopback:
        raise BindError(
            f"{here}: {place(found)} can be reached from other machines, "
            "and FastCGI has no authentication",
            "pass a Unix socket or one of 127.0.0.1, or give --allow-remote if a firewall "
            "protects the port",
        )
