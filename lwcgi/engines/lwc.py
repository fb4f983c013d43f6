# SPDX-License-Identifier: MIT
"""The `lwc` engine: each request runs in a light-weight context, by the kernel module of kmod/."""

from __future__ import annotations

from .. import _core
from ..config import LEVELS
from ..lwc import Door, Feature, LwcUnavailable
from .base import Engine, Verdict


def examine() -> Verdict:
    """Tell whether the module is there and may be used."""
    try:
        with Door() as door:
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
