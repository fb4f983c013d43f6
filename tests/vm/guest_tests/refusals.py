# SPDX-License-Identifier: MIT
"""System calls in the model: what they do, and which are refused."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm.guest_tests.commands import AGAIN, ALL_CALLS, ALWAYS_REFUSED, FIRST_SLOT, content

if TYPE_CHECKING:
    from tests.vm.guest_tests.commands import Call
    from tests.vm.guest_tests.lwcs import Page, Table, User

_MAX_ERRNO = 4095


@dataclass
class Refusals:
    """Which calls of an lwC are refused.

    Parameters:
        above: what is refused to the lwC it was made in, now and later.
        names: what its creator has said; at first all.
    """

    above: Refusals | None
    names: frozenset[str] = ALL_CALLS

    def have(self, name: str) -> bool:
        """Return whether that call is refused."""
        return (
            name == ALWAYS_REFUSED
            or name in self.names
            or (self.above is not None and self.above.have(name))
        )


def perform(call: Call, pages: list[Page | None], table: Table, user: User) -> int:
    """Do what the call does with these; return its result, or a negative errno."""
    slots = table.slots
    match call.name:
        case "geteuid":
            return user.uid
        case "process_vm_readv":  # of nothing
            return 0
    file = slots[call.slot]
    if file is None:
        return -errno.EBADF
    match call.name:
        case "dup2":
            slots[call.to] = file
            return FIRST_SLOT + call.to
        case "close":
            slots[call.slot] = None
            return 0
    page = pages[call.to]
    if page is None:
        return -errno.EFAULT
    page.value = content(file)
    return 8


def is_answer(args: tuple[int, ...]) -> bool:
    """Return whether the header says what these words answer, and a C library can tell it."""
    number, result, *_ = (*args, 0, 0)
    told = number > 0 or result <= AGAIN - _MAX_ERRNO
    return number == AGAIN or (number <= _MAX_ERRNO and told)


def answered(args: tuple[int, ...]) -> int:
    """Return how a refused call ends that is answered so."""
    number, result, *_ = (*args, 0, 0)
    return -number if number else result - (1 << 64 if result >> 63 else 0)
