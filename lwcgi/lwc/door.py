# SPDX-License-Identifier: MIT
"""The device through which all calls go."""

from __future__ import annotations

import enum
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from . import _door
from .errors import LwcError, LwcUnavailable, unavailable

if TYPE_CHECKING:
    from types import TracebackType

DEVICE = "/dev/lwc"


class Feature(enum.IntFlag):
    """What a module may have beyond the first calls (``LWC_FEATURE_*``).

    ``THREADS``, to take other threads along, is for programs in C: see `create`.
    """

    OVERLAY = _door.FEATURE_OVERLAY
    RESTRICT = _door.FEATURE_RESTRICT
    SYSCALL = _door.FEATURE_SYSCALL
    TRAP = _door.FEATURE_TRAP
    THREADS = _door.FEATURE_THREADS


class Door:
    """An open ``/dev/lwc``. It has no state: any door serves for any lwC of the thread.

    Parameters:
        path: of the device.

    Attributes:
        fd: its descriptor, close-on-exec; -1 once closed.
        abi: the version of the contract that the module speaks.
        features: what it can beyond the calls of the first step.

    Raises:
        LwcUnavailable: it is not there, may not be opened, is something else, or speaks another
            version of the contract. The message says what to do.
    """

    def __init__(self, path: str = DEVICE) -> None:
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise unavailable(path, error.errno or 0) from None
        self._examine(path)

    def _examine(self, path: str) -> None:
        try:
            self.abi, features = _ask(self.fd, path)
            self.features = Feature(features)
            self._device = os.fstat(self.fd).st_rdev
        except BaseException:
            self.close()
            raise

    @classmethod
    def inherited(cls, fd: int) -> Door:
        """Return a door that somebody else has opened, as a descriptor of its own.

        Parameters:
            fd: its descriptor, which stays open.

        Raises:
            LwcUnavailable: as for a path.
        """
        door = cls.__new__(cls)
        try:
            door.fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError as error:
            raise unavailable(f"descriptor {fd}", error.errno or 0) from None
        door._examine(f"descriptor {fd}")
        return door

    def close(self) -> None:
        """Close this descriptor; lwCs are not concerned. More than once is allowed."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def is_open(self) -> bool:
        """Return whether the descriptor is this door in the lwC that runs.

        An object is memory, and may have been copied where its descriptor was not.
        """
        try:
            status = os.fstat(self.fd)
        except OSError:
            return False
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == self._device

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_current: Door | None = None


def current_door() -> Door:
    """Return the door that the functions of this package use; opened when first asked for.

    Raises:
        LwcUnavailable: it cannot be opened.
    """
    global _current
    if _current is None:
        _current = Door()
    return _current


def use_door(door: Door | None) -> None:
    """Have the functions of this package use *door*; None: open one when it is needed."""
    global _current
    _current = door


def forget_lost_door() -> None:
    """Have another one opened where the descriptor of the current one is not there any more."""
    if _current is not None and not _current.is_open():
        use_door(None)


def _ask(fd: int, path: str) -> tuple[int, int]:
    """Return version and features of the module behind a descriptor."""
    try:
        abi, features = _door.abi(fd)
    except LwcError as error:
        raise LwcUnavailable(
            error.errno or 0, f"{path} is not the door of an lwC module", "load the module lwc"
        ) from None
    if abi != _door.ABI:
        raise LwcUnavailable(
            errno.EPROTONOSUPPORT,
            f"the module speaks version {abi} of the contract, and this package {_door.ABI}",
            "use a module and a package of one release",
        )
    return abi, features
