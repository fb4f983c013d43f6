# SPDX-License-Identifier: MIT
"""The names of lwCs, and what can be asked about them."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _door
from .callnames import NUMBERS, bitmap, number_of
from .door import current_door

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from .specs import Spec


class Right(enum.IntFlag):
    """What one lwC may do to another: enter it; reach into it (`overlay`, `syscall`)."""

    ENTER = _door.MAY_ENTER
    ACCESS = _door.MAY_ACCESS


class State(enum.IntFlag):
    """What an lwC is (``LWC_IS_*``). ``ENTERED``: since it was created or reset."""

    RUNNING = _door.IS_RUNNING
    ROOT = _door.IS_ROOT
    SNAPSHOT = _door.IS_SNAPSHOT
    WORKER = _door.IS_WORKER
    ENTERED = _door.IS_ENTERED


@dataclass(frozen=True, kw_only=True)
class Info:
    """About an lwC and its group (``LWC_IOC_INFO``).

    Parameters:
        id: unique as long as the module is loaded; never 0.
        creator: its id; 0 where there is none.
        snapshot: id of the snapshot that a worker was cloned from; 0 for none.
        state: what it is.
        contexts: lwCs of the group, the root included.
        pages_private: pages that a worker has for itself since its first reset.
        switches: made in the group.
        bytes: address space of all lwCs of the group but the one that runs.
    """

    id: int
    creator: int
    snapshot: int
    state: State
    contexts: int
    pages_private: int
    switches: int
    bytes: int


class Context:
    """The name of an lwC: a descriptor. It can be held without having a right to the lwC.

    An object of this class is memory like any other: after `create` the new lwC has its own copy,
    and the descriptor where it was not unmapped. There is no finaliser: an lwC lives until it is
    closed, left by ``switch(..., discard=True)``, or its thread ends.

    Parameters:
        fd: the descriptor, which then belongs to this object.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def fd(self) -> int:
        """The descriptor.

        Raises:
            ValueError: it is closed.
        """
        if self._fd == _door.FD_NONE:
            raise ValueError("this name of an lwC is closed")
        return self._fd

    def close(self) -> None:
        """Close the name; in the lwC that created the one named, this destroys it.

        More than once is allowed.

        Raises:
            ValueError: the name is well known, and cannot be closed.
        """
        if self._fd in (_door.FD_SELF, _door.FD_ROOT):
            raise ValueError("SELF and ROOT cannot be closed")
        if self._fd != _door.FD_NONE:
            fd, self._fd = self._fd, _door.FD_NONE
            os.close(fd)

    def info(self) -> Info:
        """Return what the module knows about the lwC and its group. No right is needed.

        Raises:
            LwcError: StaleContext, ForeignContext; EBADF before any lwC was made.
        """
        number, creator, snapshot, state, contexts, private, switches, size = _door.info(
            current_door().fd, self.fd
        )
        return Info(
            id=number,
            creator=creator,
            snapshot=snapshot,
            state=State(state),
            contexts=contexts,
            pages_private=private,
            switches=switches,
            bytes=size,
        )

    def grant(self, holder: Context, rights: Right = Right.ENTER) -> None:
        """Let *holder* enter this lwC, or reach into it. This one itself may do so, and its creator.

        Parameters:
            holder: another lwC of the group.
            rights: all that it may do from now on; what is not named is taken back.

        Raises:
            LwcError: NotGranted, StaleContext, ForeignContext, ENOMEM.
        """
        _door.grant(current_door().fd, self.fd, holder.fd, rights)

    def revoke(self, holder: Context) -> None:
        """Take back what `grant` gave; not from the creator, which keeps its rights.

        Raises:
            LwcError: as `grant`.
        """
        _door.grant(current_door().fd, self.fd, holder.fd, 0)

    def restrict(self, specs: Sequence[Spec]) -> None:
        """Narrow what may be reached of the lwC through this name; it is never widened.

        Copies of the descriptor (``dup``, in other lwCs, in other processes) are narrowed with
        it. Without specifications nothing may be reached any more.

        Parameters:
            specs: what remains allowed. The action is the most that is: ``SHARE``, or ``COPY``.

        Raises:
            NotGranted: more than is allowed now.
            LwcError: EINVAL, a specification, or `SELF` or `ROOT`; ENOMEM.
        """
        _door.restrict(current_door().fd, self.fd, 0, [spec.words() for spec in specs])

    def restricted(self, specs: Sequence[Spec]) -> Context:
        """Return another name of the lwC, through which less may be reached; this one stays.

        In the lwC that created the one named, to close either name is to destroy it.

        Parameters:
            specs: as for `restrict`.

        Raises:
            LwcError: as `restrict`; EMFILE.
        """
        words = [spec.words() for spec in specs]
        return Context(_door.restrict(current_door().fd, self.fd, _door.RESTRICT_COPY, words))

    def refuse(self, calls: Iterable[int | str]) -> None:
        """Have these system calls of the lwC refused, and no others.

        It was created with `Flag.TRAP_SYSCALLS`, by the lwC that runs. A refused call does not
        run: it becomes a switch to the creator (`Switched.trapped`), which answers by `reply`.
        Calls that reach past an lwC are refused in any case; see ``LWC_IOC_TRAP``.

        Parameters:
            calls: numbers or names. None at all: nothing is refused but what always is; what the
                list costs other processes ends with the lwC. Name ``fork``, ``vfork``, ``clone``,
                ``clone3``, ``execve`` and ``execveat``: what those make is refused nothing.

        Raises:
            NotGranted: the lwC that runs is not its creator.
            LwcError: EINVAL, it was created without the flag; others as for `switch`.
            ValueError: nobody knows the name or number.
        """
        self._trap({number_of(call) for call in calls})

    def allow_only(self, calls: Iterable[int | str]) -> None:
        """Have all system calls of the lwC refused but these; see `refuse`.

        A program in Python makes many calls that one does not see: for memory (``mmap``,
        ``munmap``, ``brk``), time, locks (``futex``), and ``ioctl`` to switch.

        Raises:
            LwcError, ValueError: as `refuse`.
        """
        self._trap({*range(NUMBERS)} - {number_of(call) for call in calls})

    def _trap(self, refused: set[int]) -> None:
        mode = _door.TRAP_SOME
        if not refused:
            mode = _door.TRAP_NONE
        elif len(refused) == NUMBERS:
            mode = _door.TRAP_ALL
        _door.trap(current_door().fd, self.fd, mode, bitmap(refused))

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        known = {_door.FD_NONE: "closed", _door.FD_SELF: "SELF", _door.FD_ROOT: "ROOT"}
        return f"<lwC {known.get(self._fd, self._fd)}>"


SELF = Context(_door.FD_SELF)
"""The lwC that runs; exists once the thread has made an lwC."""

ROOT = Context(_door.FD_ROOT)
"""The lwC in which the thread made its first."""
