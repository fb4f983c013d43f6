# SPDX-License-Identifier: MIT
"""Reaching into another lwC without entering it: its resources here, a system call there.

Both take the right to (`Right.ACCESS`, or to be its creator) and a name of it whose mask allows
what is asked (`Context.restrict`). After Litton et al., OSDI 2016, sections 3.2 to 3.4;
``LWC_IOC_OVERLAY`` and ``LWC_IOC_SYSCALL`` of ``kmod/uapi/lwc.h``.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from . import _door
from .callnames import name_of, number_of
from .door import current_door
from .errors import LwcError
from .specs import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .context import Context
    from .specs import Spec

_MAX_ERRNO = 4095


def overlay(source: Context, specs: Sequence[Spec]) -> None:
    """Map resources of another lwC into the one that runs, in place of what is there.

    `Action.COPY` takes them as they are now, `Action.SHARE` has both see each change. With the
    source `SELF` it is undone: ``UNMAP`` unmaps memory and closes descriptors, ``COPY`` of the
    credentials puts back those that were put aside.

    Memory in which this interpreter keeps objects must not be among it; take mappings of bytes
    (`Spec.mapping`), which lie at the same address in both.

    Parameters:
        source: the other lwC. A name got from a switch (`Switched.caller`) allows nothing.
        specs: which resources, at most 64.

    Raises:
        NotGranted: the right, or the mask of this name.
        FrozenContext: ``SHARE`` of the memory of a snapshot.
        NotSupported: mappings that cannot be copied or shared.
        LwcError: EINVAL, EMFILE, ENOMEM; others as for `switch`.
    """
    _door.overlay(current_door().fd, source.fd, [spec.words() for spec in specs])


def syscall(target: Context, call: int | str, *args: Any, kinds: Iterable[Kind]) -> int:
    """Perform a system call with resources of another lwC, and come back.

    Parameters:
        target: the other lwC; it is not entered.
        call: number or name. docs/lwc.md lists those that can be made.
        args: at most six. A number is handed on. A str or path is handed on as the address of a
            text with a NUL at its end; bytes and other buffers as their address: for what the call
            writes take a bytearray. Both lie in the memory of the caller, so they cannot go
            along with `Kind.MEMORY`.
        kinds: what is taken from the target. The rest is the caller's.

    Returns:
        What the system call returned.

    Raises:
        OSError: the system call was made and failed; its errno is that of the call.
        NotGranted: the right, or the mask of this name; or the call is refused to this lwC.
        NotInModule: it is not one of the calls that can be made.
        ContextBusy: the target is the lwC that runs.
        LwcError: another reason why it was not made; see ``LWC_IOC_SYSCALL``.
        ValueError: an unknown name, no kinds, or more than six arguments.
        TypeError: an argument that is none of these, or a buffer with `Kind.MEMORY`.
        OverflowError: a number of more than 64 bits.
    """
    wanted = {Kind(kind) for kind in kinds}
    if not wanted:
        raise ValueError("a call that takes nothing from the other lwC is the caller's own")
    if len(args) > 6:
        raise ValueError("a system call has at most six arguments")
    number = number_of(call)
    held: list[memoryview] = []  # so long nobody moves what the call works on
    words = [_word(arg, held, addresses=Kind.MEMORY not in wanted) for arg in args]
    mask = sum(1 << kind for kind in wanted)
    while True:
        try:
            result = _door.syscall(current_door().fd, target.fd, mask, number, words)
            break
        except LwcError as error:
            # A signal came before anything was done. Its handler runs here; then as in PEP 475.
            if error.errno != errno.EINTR:
                raise
    if -_MAX_ERRNO <= result < 0:
        raise OSError(-result, f"{os.strerror(-result)}: {name_of(number)} for another lwC")
    return result


def _word(arg: object, held: list[memoryview], *, addresses: bool) -> int:
    if isinstance(arg, int):
        if not -(1 << 63) <= arg < 1 << 64:
            raise OverflowError("an argument of a system call has 64 bits")
        return arg % (1 << 64)
    if not addresses:
        raise TypeError("with Kind.MEMORY an address is one in the other lwC: give a number")
    if isinstance(arg, str | os.PathLike):
        path = os.fsencode(arg)
        if b"\0" in path:
            raise ValueError("a text for a system call ends at its first NUL")
        arg = path + b"\0"
    view = memoryview(arg)  # type: ignore[arg-type] # says TypeError itself
    held.append(view)
    return _door.address(view, writable=False)
