# SPDX-License-Identifier: MIT
"""The `lwc` engine: each request runs in a light-weight context, by the kernel module of kmod/."""

from __future__ import annotations

import os

from .. import _core
from ..config import LEVELS
from ..lwc import DEVICE, Door, Feature, LwcUnavailable
from .base import Engine, Verdict

_inherited = -1


def open_door() -> int:
    """Return a descriptor for processes whose user may not open the device; -1: nor may this one.

    Why not, and whether it is of any use, they find out by themselves.
    """
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1


def inherit_door(fd: int) -> None:
    """Use what another process has opened; -1: open it here."""
    global _inherited
    _inherited = fd


def examine() -> Verdict:
    """Tell whether the module is there and may be used."""
    try:
        with Door.inherited(_inherited) if _inherited >= 0 else Door() as door:
            features = door.features
    except LwcUnavailable as error:
        return Verdict(lacks=error.cause, remedy=error.remedy)
    if Feature.TRAP not in features:
        return Verdict(
            lacks="the module cannot refuse system calls", remedy="load the module of this release"
        )
    return Verdict()


ENGINE = Engine(
    name="lwc",
    number=_core.ENGINE_LWC,
    levels=LEVELS,
    forks=False,
    summary="every request in a light-weight context of the kernel module; isolates",
    examine=examine,
)
