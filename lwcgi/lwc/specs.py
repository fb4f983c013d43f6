# SPDX-License-Identifier: MIT
"""What becomes of a creator's resources in a new lwC (``struct lwc_spec``), and flags."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _door

if TYPE_CHECKING:
    import mmap

ALL = _door.ALL
"""The end of a range that has no end."""


class Kind(enum.IntEnum):
    """A kind of resources."""

    MEMORY = _door.MEMORY
    FILES = _door.FILES
    CREDENTIALS = _door.CREDENTIALS


class Action(enum.IntEnum):
    """What becomes of them.

    ``COPY`` is what happens to all that no specification names: memory copy-on-write, descriptors
    and credentials as after fork(2). ``SHARE``: both see each change. ``UNMAP``: not there.
    """

    COPY = _door.COPY
    SHARE = _door.SHARE
    UNMAP = _door.UNMAP


class Flag(enum.IntFlag):
    """What a new lwC may do and is.

    ``MAY_RETURN``: enter its creator. ``SAME_RIGHTS``: enter whatever its creator may by grant or
    as a way back. ``SUSPEND_ONLY``: never run, and be cloned. ``SHARE_SIGNALS``: be reached by
    signals it did not cause; without it they are blocked at its start. ``TRAP_SYSCALLS``: have its
    system calls refused, all of them until `Context.refuse` or `Context.allow_only` says otherwise.
    """

    MAY_RETURN = _door.MAY_RETURN
    SAME_RIGHTS = _door.SAME_RIGHTS
    SUSPEND_ONLY = _door.SUSPEND_ONLY
    SHARE_SIGNALS = _door.SHARE_SIGNALS
    TRAP_SYSCALLS = _door.TRAP_SYSCALLS


@dataclass(frozen=True)
class Spec:
    """A resource specification; specifications of one kind must not overlap.

    The rules are in ``kmod/uapi/lwc.h`` at ``struct lwc_spec``; the module checks them.

    Parameters:
        kind: of the resources.
        action: what becomes of them.
        start: the first address or descriptor.
        end: the one after the last; `ALL` for no end.
        may_access: the new lwC may reach these resources of its creator later (`overlay`,
            `syscall`). Only for `create`.
    """

    kind: Kind
    action: Action
    start: int = 0
    end: int = ALL
    may_access: bool = False

    @classmethod
    def memory(cls, start: int, end: int, action: Action, *, may_access: bool = False) -> Spec:
        """Return one for memory between two addresses, multiples of the page size."""
        return cls(Kind.MEMORY, action, start, end, may_access)

    @classmethod
    def mapping(cls, mapping: mmap.mmap, action: Action, *, may_access: bool = False) -> Spec:
        """Return one for all pages of a mapping that can be written.

        Raises:
            TypeError: it is a read-only one.
        """
        start = _door.address(mapping)
        end = start + -(-len(mapping) // _door.PAGE) * _door.PAGE
        return cls.memory(start, end, action, may_access=may_access)

    @classmethod
    def files(
        cls, first: int, last_plus_one: int, action: Action, *, may_access: bool = False
    ) -> Spec:
        """Return one for descriptors; they can be shared only all together."""
        return cls(Kind.FILES, action, first, last_plus_one, may_access)

    @classmethod
    def credentials(cls, action: Action, *, may_access: bool = False) -> Spec:
        """Return one for the credentials, which can be copied or shared."""
        return cls(Kind.CREDENTIALS, action, may_access=may_access)

    def words(self) -> tuple[int, int, int, int]:
        """Return the fields of ``struct lwc_spec``, in order."""
        action = self.action | (_door.MAY_ACCESS if self.may_access else 0)
        return (self.kind, action, self.start, self.end)
