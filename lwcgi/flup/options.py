# SPDX-License-Identifier: MIT
"""flup's arguments as options of ``lwcgi run``, and what to say of those that have none."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

RESPONDER, AUTHORIZER, _FILTER = 1, 2, 3

Address: TypeAlias = str | tuple[str, int] | tuple[str, int, int, int]

_MOST_WORKERS = 1024
_NO_THREADS = "a process runs one request at a time"
# Every other argument that one of flup's three servers takes; where its value is not the one
# given here, this is lost.
_UNMAPPED: dict[str, tuple[Any, str]] = {
    "multithreaded": (False, _NO_THREADS),
    "multiprocess": (True, "requests always run in several processes"),
    "multiplexed": (False, "a connection carries one request at a time"),
    "minSpare": (1, "workers are not started on demand, see --workers"),
    "maxSpare": (5, "workers are not started on demand, see --workers"),
    "maxRequests": (None, ""),  # what it is for is done for every request
    "sockTimeout": (0, "sockets have the gateway's own time limits"),
    "jobClass": (None, ""),  # flup's servers take these two no notice of, either
    "jobArgs": (None, ""),
}


def unmapped(others: Mapping[str, Any], roles: Sequence[int]) -> list[str]:
    """Return a sentence for each argument that is not kept to, with its name in front.

    Parameters:
        others: arguments that lwcgi has no option for.
        roles: the roles that are asked for.

    Raises:
        TypeError: flup does not know one of *others* either.
        ValueError: flup refuses the value.
    """
    unknown = sorted(others.keys() - _UNMAPPED.keys())
    if unknown:
        raise TypeError(f"WSGIServer() got an unexpected keyword argument {unknown[0]!r}")
    least, most = others.get("minSpare", 1), others.get("maxSpare", 5)
    if least < 1:
        raise ValueError("minSpare must be at least 1")
    if most < least:
        raise ValueError("maxSpare must not be less than minSpare")
    told = []
    for name, value in others.items():
        kept, why = _UNMAPPED[name]
        if why and value != kept:
            told.append(f"{name}: {why}")
    return [*told, *(f"roles: {role} is not served" for role in roles if role not in (1, 2))]


def arguments(
    address: Address | None, umask: int | None, timeout: float | None, workers: int | None
) -> list[str]:
    """Return options of ``lwcgi run``.

    Parameters:
        address: as flup's bindAddress; a relative path is taken from the current directory.
        umask: as flup's; None for that of the process.
        timeout: seconds; None for no option.
        workers: how many; None for no option.
    """
    options = _bind(address)
    if isinstance(address, str):
        options += ["--socket-mode", f"{0o777 & ~(_umask() if umask is None else umask):03o}"]
    if timeout is not None:
        options += ["--timeout", f"{timeout:g}"]
    if workers is not None:
        options += ["--workers", str(min(workers, _MOST_WORKERS))]
    return options


def _bind(address: Address | None) -> list[str]:
    if address is None:
        return ["--bind", "fd://0", "--allow-remote"]
    if isinstance(address, str):
        return ["--bind", f"unix:{os.path.abspath(address)}"]
    host, port = address[0] or ("::" if len(address) > 2 else "0.0.0.0"), address[1]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ["--bind", where, *([] if _is_loopback(host) else ["--allow-remote"])]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _umask() -> int:
    """Return this process's umask, which can only be read by setting it (umask(2))."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
