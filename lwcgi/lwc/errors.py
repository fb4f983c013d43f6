# SPDX-License-Identifier: MIT
"""What the module refuses, as types: the one place where an errno becomes an exception.

The causes are those of ``kmod/uapi/lwc.h``: section 4, and the list of each call.
"""

from __future__ import annotations

import errno
import os


class LwcError(OSError):
    """A call was refused; base of all errors of this package.

    Nothing has happened then, but where the cause says so: a reset that failed half-way, a switch
    whose results cannot be written in the lwC it has entered.

    Parameters:
        number: the errno.
        cause: what is wrong, without a full stop.
        remedy: what to do about it; empty where there is nothing to advise.
    """

    def __init__(self, number: int, cause: str, remedy: str = "") -> None:
        super().__init__(number, f"{cause}; {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


class LwcUnavailable(LwcError):
    """There is no door to light-weight contexts here, or it may not be used."""


class StaleContext(LwcError):
    """ESTALE: the lwC was destroyed."""


class ForeignContext(LwcError):
    """EPERM: the lwC belongs to another thread or process."""


class NotGranted(LwcError):
    """EACCES: the right was not granted to the lwC that runs, or the name does not allow it."""


class ContextBusy(LwcError):
    """EBUSY: the lwC runs, or its memory is used elsewhere."""


class FrozenContext(LwcError):
    """EROFS: a snapshot cannot be entered or changed."""


class NotSupported(LwcError):
    """EOPNOTSUPP: a state of the thread or a mapping that cannot be carried over."""


class LimitReached(LwcError):
    """ENOSPC, EDQUOT: more lwCs or memory than parameters of the module allow."""


class NotRecoverable(LwcError):
    """ENOTRECOVERABLE: the worker cannot be reset, only destroyed."""


class NotInModule(LwcError):
    """ENOSYS: this module lacks the feature."""


class AttemptFailed(Exception):
    """What an `attempt` returned or raised cannot be handed out of it; the text says what."""


_KINDS: dict[int, type[LwcError]] = {
    errno.ESTALE: StaleContext,
    errno.EPERM: ForeignContext,
    errno.EACCES: NotGranted,
    errno.EBUSY: ContextBusy,
    errno.EROFS: FrozenContext,
    errno.EOPNOTSUPP: NotSupported,
    errno.ENOSPC: LimitReached,
    errno.EDQUOT: LimitReached,
    errno.ENOTRECOVERABLE: NotRecoverable,
    errno.ENOSYS: NotInModule,
}

_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOTTY: ("this descriptor is no door to lwCs of this ABI", "open /dev/lwc"),
    errno.EFAULT: ("the call's structure lies in memory that is not there", ""),
    errno.EINVAL: (
        "an argument is not valid",
        "a descriptor must name an lwC, flags and kinds must be known",
    ),
    errno.EOPNOTSUPP: (
        "this thread or a mapping has a state that cannot be carried over",
        "do without io_uring, user shadow stacks and AMX, and share no mappings of devices",
    ),
    errno.EBADF: (
        "the descriptor of the lwC or of the door is not open",
        "SELF and ROOT exist from the first create on",
    ),
    errno.EPERM: ("the lwC is another thread's", "use it in the thread that made it"),
    errno.ESTALE: ("the lwC was destroyed", "close this descriptor"),
    errno.EACCES: (
        "this lwC has no right to that one",
        "have its creator or itself grant it, or create with Flag.MAY_RETURN",
    ),
    errno.EBUSY: ("the lwC runs already", "name another one"),
    errno.EROFS: ("the lwC is a snapshot and never runs", "enter a clone of it"),
    errno.EMFILE: ("this lwC has no descriptor left", "raise RLIMIT_NOFILE or close some"),
    errno.ENFILE: ("the system has no open file left", "raise fs.file-max"),
    errno.ENOSPC: (
        "the group has as many lwCs as it may",
        "destroy some, or load the module with a larger max_contexts",
    ),
    errno.EDQUOT: (
        "the address spaces of the group are as large as they may be",
        "destroy some lwCs, or load the module with a larger max_bytes",
    ),
    errno.ENOMEM: ("there is no memory", "destroy lwCs, or see vm.overcommit_memory"),
    errno.ENOSYS: ("this module lacks the feature", "see Door.features, or load a newer module"),
    errno.ENOTRECOVERABLE: (
        "what was done to the worker cannot be undone",
        "close it and clone a new one",
    ),
    errno.EINTR: ("the thread is being killed", ""),
}

# Where one call means something more particular.
_OF_CALL: dict[tuple[str, int], tuple[str, str]] = {
    ("create", errno.EINVAL): (
        "a flag or a specification is not valid",
        "ranges are aligned, not empty, do not overlap; descriptors are shared all or none",
    ),
    ("clone", errno.EINVAL): ("the descriptor does not name a snapshot", "make one by snapshot()"),
    ("clone", errno.EACCES): (
        "only the creator of a snapshot may clone it",
        "switch to that one and clone there",
    ),
    ("reset", errno.EINVAL): ("the descriptor does not name a worker", "make one by clone()"),
    ("reset", errno.EACCES): (
        "only the creator of a worker may reset it",
        "switch to that one and reset there",
    ),
    ("reset", errno.EBUSY): (
        "another process shares the worker's memory, or a thread of it does not end",
        "end it first",
    ),
    ("reset", errno.ESTALE): ("the worker or its snapshot was destroyed", "close the worker"),
    ("reset", errno.ENOMEM): (
        "there is no memory, and the worker is half reset",
        "close it and clone a new one",
    ),
    ("grant", errno.EACCES): (
        "only the target itself and its creator may grant rights on it",
        "switch to one of them and grant there",
    ),
    ("overlay", errno.EINVAL): (
        "a specification is not valid here, or the name is not one of an lwC",
        "SELF takes UNMAP, and COPY of credentials; others COPY and SHARE, not of the stack",
    ),
    ("overlay", errno.EACCES): (
        "this lwC may not reach that one, or not through this name",
        "create with may_access, grant Right.ACCESS, or take a name that is less restricted",
    ),
    ("overlay", errno.EROFS): (
        "the memory of a snapshot cannot be shared",
        "copy it (Action.COPY)",
    ),
    ("overlay", errno.EMFILE): (
        "a descriptor is beyond what this process may open",
        "raise RLIMIT_NOFILE, or name fewer",
    ),
    ("overlay", errno.EPERM): (
        "the lwC is another thread's, a tracer has not the rights to follow, or memory is sealed",
        "use it in the thread that made it; trace with CAP_SYS_PTRACE; overlay other ranges",
    ),
    ("overlay", errno.EBUSY): (
        "the source is the lwC that runs, or a thread is about to open a descriptor of the range",
        "undo by SELF; try again",
    ),
    ("overlay", errno.ENOMEM): (
        "there is no memory, or this process may not have so much of it or so many mappings",
        "overlay less, or raise RLIMIT_AS or vm.max_map_count; parts may be overlaid already",
    ),
    ("restrict", errno.EINVAL): (
        "a specification is not valid here, or this is SELF, ROOT, or no name of an lwC",
        "say what remains allowed with COPY or SHARE",
    ),
    ("restrict", errno.EACCES): (
        "this name does not allow so much",
        "narrow it to a part of what it allows",
    ),
    ("syscall", errno.EINVAL): ("the descriptor names no lwC", "name the lwC it is to be made for"),
    ("syscall", errno.ENOSYS): (
        "the module does not make this call for another lwC, or lacks the feature",
        "docs/lwc.md lists those it makes; see Door.features",
    ),
    ("syscall", errno.EACCES): (
        "this lwC may not reach that one, or not through this name, or may not make this call",
        "create with may_access, grant Right.ACCESS, or take a name that is less restricted",
    ),
    ("syscall", errno.EPERM): (
        "the lwC is another thread's, or its memory is dumpable while this one's is not",
        "use it in the thread that made it; clear PR_SET_DUMPABLE in both",
    ),
    ("syscall", errno.EBUSY): ("the target is the lwC that runs", "make the call itself"),
    ("syscall", errno.EROFS): ("the lwC is a snapshot", "name a clone of it"),
    ("syscall", errno.EOPNOTSUPP): (
        "this thread has a seccomp filter, which would not see the call, or io_uring",
        "refuse system calls by Flag.TRAP_SYSCALLS instead",
    ),
    ("syscall", errno.EINTR): ("a signal came first", "make the call again"),
    ("trap", errno.EINVAL): (
        "the lwC was created without Flag.TRAP_SYSCALLS, or the descriptor names no lwC",
        "create it with the flag",
    ),
    ("trap", errno.EACCES): (
        "only the creator of an lwC may say which system calls of it are refused",
        "switch to that one and say it there",
    ),
    ("switch", errno.EPERM): (
        "the lwC is another thread's, or a tracer has not the rights to follow into it",
        "use it in the thread that made it; trace with CAP_SYS_PTRACE",
    ),
    ("switch", errno.EFAULT): (
        "this lwC was entered, but its results cannot be written any more",
        "keep the memory that the call was made with",
    ),
}


def from_errno(call: str, number: int) -> LwcError:
    """Return the error that says why a call was refused.

    Parameters:
        call: ``create``, ``switch``, ``clone``, ``reset``, ``grant``, ``info``, ``overlay``,
            ``restrict``, ``syscall``, ``trap`` or ``abi``.
        number: the errno.
    """
    cause, remedy = _OF_CALL.get((call, number)) or _REASONS.get(number, (os.strerror(number), ""))
    return _KINDS.get(number, LwcError)(number, f"{call}: {cause}", remedy)


def unavailable(path: str, number: int) -> LwcUnavailable:
    """Return the error that says why the door cannot be opened.

    Parameters:
        path: of the device.
        number: the errno of open(2).
    """
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return LwcUnavailable(number, f"{path} is not there", "load the module: modprobe lwc")
    if number in (errno.EACCES, errno.EPERM):
        return LwcUnavailable(
            number,
            f"{path} may not be opened by this user",
            "give its group the right to read and write it, and make the user a member",
        )
    return LwcUnavailable(number, f"{path} cannot be opened: {os.strerror(number)}")
