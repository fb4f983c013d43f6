# SPDX-License-Identifier: MIT
"""The calls that make lwCs, go from one to another, and put them back.

After Litton et al., "Light-Weight Contexts", OSDI 2016, section 3; the details are those of
``kmod/uapi/lwc.h``.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _door
from .callnames import name_of
from .context import Context
from .door import current_door, forget_lost_door
from .specs import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .specs import Spec

MAX_ARGS = _door.MAX_ARGS
"""So many words go along with a switch."""

_NO_FLAGS = Flag(0)


@dataclass(frozen=True)
class Created:
    """What `create` returns in the creator.

    Parameters:
        context: the new lwC. To close it is to destroy it.
    """

    context: Context


@dataclass(frozen=True)
class Trapped:
    """A refused system call, by which an lwC came to its creator (``LWC_IOC_TRAP``).

    Parameters:
        number: of the call.
        args: its six arguments, as unsigned words; addresses are those of the lwC that called.
        compat: it came by a 32-bit entry, where numbers mean other calls.
    """

    number: int
    args: tuple[int, ...]
    compat: bool = False

    @property
    def name(self) -> str:
        """The name of the call; its number in words where it has none."""
        return f"32-bit call {self.number}" if self.compat else name_of(self.number)


@dataclass(frozen=True)
class Entered:
    """What `create` and `snapshot` return in the new lwC, when it is entered for the first time.

    Parameters:
        creator: who created it; None where it may not be entered.
        caller: who entered it now; None where it is gone or may not be entered.
        args: the words that came along.
        trapped: the refused call by which one entered it that it had created, in a worker that
            was reset since; None otherwise.
    """

    creator: Context | None
    caller: Context | None
    args: tuple[int, ...]
    trapped: Trapped | None = None


@dataclass(frozen=True)
class Switched:
    """What `switch` returns when the lwC that called it is entered again.

    Parameters:
        caller: who entered it now; None where it is gone or may not be entered.
        args: the words that came along.
        trapped: the refused call by which *caller* came; it waits for `reply`, `retry` or `permit`. None
            where the caller has called `switch`.
    """

    caller: Context | None
    args: tuple[int, ...]
    trapped: Trapped | None = None


@dataclass(frozen=True)
class ResetCounts:
    """What `reset` had to do.

    Parameters:
        pages_copied: written back from the snapshot: all that the worker has ever changed.
        pages_checked: page table entries looked at.
        pages_private: that the worker has for itself now.
        mappings: removed, put back, protected anew.
    """

    pages_copied: int
    pages_checked: int
    pages_private: int
    mappings: int


def create(*, flags: Flag = _NO_FLAGS, specs: Sequence[Spec] = ()) -> Created | Entered:
    """Make an lwC from the one that runs. Returns twice, like ``os.fork()``, in one thread.

    ``os.register_at_fork`` hooks run as around a fork: ``before``, then ``after_in_parent`` here
    and, once the new lwC is entered, ``after_in_child`` there. All of the interpreter is copied;
    what the two see of each other are only resources that a specification shares.

    Parameters:
        flags: of the new lwC. Without any it can be entered, but cannot return.
        specs: what becomes of resources that shall not be copied, at most 64.

    Returns:
        `Created` in the creator, `Entered` in the new lwC.

    Raises:
        LwcUnavailable: there is no module.
        LimitReached: too many lwCs, or too large.
        NotSupported: the thread or a mapping is of a kind that cannot be copied or shared.
        LwcError: another reason; see ``LWC_IOC_CREATE``.
        ValueError: threads shall be taken along (``LWC_WITH_THREADS``), which is for C alone.

    Warns:
        RuntimeWarning: there are other threads. They are not in the copy, but the locks they hold
            are, and for ever.
    """
    return make(flags, specs, stacklevel=3)


def switch(target: Context, *args: int, discard: bool = False) -> Switched:
    """Leave the lwC that runs and enter another. Returns when this one is entered again.

    The GIL is not held meanwhile: other threads that live in this lwC run on, as they do while
    one waits in a system call.

    Parameters:
        target: the lwC to enter: at its own `switch`, or, for the first time, at its `create`.
        args: at most MAX_ARGS words of 64 bits, without a sign.
        discard: destroy the lwC that runs. Then this returns only to say why it was refused.

    Raises:
        NotGranted: the lwC that runs may not enter the target.
        StaleContext: the target was destroyed.
        ForeignContext: it belongs to another thread.
        FrozenContext: it is a snapshot.
        ContextBusy: it is the lwC that runs.
        NotRecoverable: it is a worker whose reset failed half-way.
        ValueError: too many words.
        OverflowError: a word does not fit.
    """
    if len(args) > MAX_ARGS:
        raise ValueError(f"at most {MAX_ARGS} words go along with a switch")
    flags = _door.DISCARD if discard else 0
    came, caller, words = _door.switch(current_door().fd, target.fd, flags, args)
    if came & _door.BY_TRAP:
        return Switched(_named(caller), (), _trapped(words))
    return Switched(_named(caller), words)


def reply(context: Context, *, result: int = 0, errno: int = 0) -> Switched:
    """Enter an lwC whose system call was refused, and have that call end so.

    Parameters:
        context: the lwC; `Switched.caller`.
        result: what the call returns there.
        errno: or the error by which it fails; 0 for none.

    Returns, raises: as `switch`. Also:
        OverflowError: the result has more than 64 bits.
        ValueError: that is not an errno.
    """
    if not 0 <= errno <= 4095:
        raise ValueError(f"{errno} is not an errno")
    if not -(1 << 63) <= result < 1 << 64:
        raise OverflowError("the result of a system call has 64 bits")
    return switch(context, errno, result % (1 << 64))


def retry(context: Context) -> Switched:
    """Enter an lwC whose system call was refused, and have it made once more.

    It runs if it is not refused any longer: say so before, by `Context.refuse` or
    `Context.allow_only`.

    Parameters:
        context: the lwC; `Switched.caller`.

    Returns, raises: as `switch`.
    """
    return switch(context, _door.TRAP_AGAIN)


def permit(context: Context) -> Switched:
    """Enter an lwC whose system call was refused, and let this one call through, as it was.

    What is refused to the creator as well, or always, is refused again.

    Parameters:
        context: the lwC; `Switched.caller`.

    Returns, raises: as `switch`.
    """
    return switch(context, _door.TRAP_ONCE)


def snapshot(specs: Sequence[Spec] = (), *, flags: Flag = Flag.MAY_RETURN) -> Context | Entered:
    """Freeze the lwC that runs as a snapshot, to be cloned; `create` with `Flag.SUSPEND_ONLY`.

    Parameters:
        specs: as for `create`.
        flags: of the workers. By default they may return to their creator.

    Returns:
        The snapshot; and `Entered` in each worker, each time it is entered for the first time.

    Raises:
        LwcError: as `create`.
    """
    result = make(flags | Flag.SUSPEND_ONLY, specs, stacklevel=3)
    return result.context if isinstance(result, Created) else result


def clone(frozen: Context) -> Context:
    """Make a worker: a copy of a snapshot that can be entered. Only the snapshot's creator may.

    Parameters:
        frozen: a snapshot.

    Raises:
        NotGranted: the lwC that runs is not its creator.
        LwcError: EINVAL, it is not a snapshot; otherwise as `create`.
    """
    return Context(_door.clone(current_door().fd, frozen.fd))


def reset(worker: Context) -> ResetCounts:
    """Make a worker again what its snapshot is. Its next entry is a first one.

    It costs what the worker has ever changed; one that has gathered too many pages
    (`ResetCounts.pages_private`) is better closed, and another cloned.

    What is shared with others, files, and what the thread has once for all lwCs (working
    directory, signal handlers, limits; section 1 of the header) stays as the worker left it.

    Parameters:
        worker: made by `clone`, in the lwC that runs.

    Raises:
        NotGranted: the lwC that runs is not its creator.
        ContextBusy: another process shares its memory, or a thread of it does not end.
        StaleContext: it, or its snapshot, was destroyed.
        NotRecoverable: it can only be closed. So it is after ENOMEM.
        LwcError: EINVAL, it is not a worker; ENOMEM.
    """
    return ResetCounts(*_door.reset(current_door().fd, worker.fd))


def make(flags: Flag, specs: Sequence[Spec], *, stacklevel: int) -> Created | Entered:
    """Do what `create` does; warn as if at so many levels above."""
    if flags & _door.WITH_THREADS:
        raise ValueError(
            "threads cannot be taken along from Python, whose fork hooks end the others in a copy"
        )
    others = len(sys._current_frames()) - 1
    if others:
        warnings.warn(
            f"an lwC is made beside other threads ({others}): the locks they hold now, malloc's "
            "too, stay locked in it for ever; make lwCs before threads",
            RuntimeWarning,
            stacklevel=stacklevel,
        )
    event, fd, caller, args = _door.create(
        current_door().fd, flags, [spec.words() for spec in specs]
    )
    if event == _door.CREATED:
        return Created(Context(fd))
    forget_lost_door()
    if event == _door.TRAPPED:
        return Entered(_named(fd), _named(caller), (), _trapped(args))
    return Entered(_named(fd), _named(caller), args)


def _trapped(words: tuple[int, ...]) -> Trapped:
    call, *args = words
    return Trapped(call & ~_door.TRAP_COMPAT, tuple(args), bool(call & _door.TRAP_COMPAT))


def _named(fd: int) -> Context | None:
    return None if fd == _door.FD_NONE else Context(fd)
