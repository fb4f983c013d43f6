# SPDX-License-Identifier: MIT
"""Sockets that a service manager passes to the process it starts (sd_listen_fds(3))."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..errors import ConfigError

SCHEME = "fd://"
_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1024
# What is said of a descriptor that has no name.
_NAMELESS = ("unknown", "stored")


def passed(environment: Mapping[str, str]) -> dict[int, str]:
    """Return the descriptors that LISTEN_FDS and its like pass to this process, with their names.

    Raises:
        ConfigError: LISTEN_FDS is no sensible number.
    """
    count = environment.get("LISTEN_FDS", "")
    if not count or environment.get("LISTEN_PID") != str(os.getpid()):
        return {}  # none, or another process's
    if not (count.isascii() and count.isdigit()) or int(count) > _MOST:
        raise ConfigError(
            f"LISTEN_FDS is {count!r}, not a number of descriptors",
            "it is set by systemd or another service manager; unset it to use --bind",
        )
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (int(count) - len(names))
    return dict(zip(range(_FIRST, _FIRST + int(count)), names, strict=False))


def addresses(bind: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the addresses to listen on: those of *bind*, or what was passed.

    ``fd://NAME`` in *bind* becomes the descriptors that were passed under that name
    (FileDescriptorName=, systemd.socket(5)).

    Raises:
        ConfigError: there is none of that name, one is named twice, or LISTEN_FDS is no number.
    """
    there = passed(environment)
    if not bind:
        return tuple(f"{SCHEME}{fd}" for fd in there)
    found: list[str] = []
    for text in bind:
        name = text.removeprefix(SCHEME)
        if name == text or name.isdigit():
            found.append(text)
            continue
        named = [f"{SCHEME}{fd}" for fd, given in there.items() if given == name]
        if not named:
            known = ", ".join(sorted({n for n in there.values() if n and n not in _NAMELESS}))
            raise ConfigError(
                f"no socket called {name!r} was passed to this process",
                f"the names are {known}" if known else "write fd://NUMBER, for example fd://3",
            )
        found += named
    for text in found:
        if text.startswith(SCHEME) and found.count(text) > 1:
            raise ConfigError(f"{text} is to be listened on twice", "write each --bind once")
    return tuple(found)


def unused(bind: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the descriptors that were passed and are not in *bind*, as ``fd://N``."""
    return [f"{SCHEME}{fd}" for fd in passed(environment) if f"{SCHEME}{fd}" not in bind]
