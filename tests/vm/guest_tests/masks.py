# SPDX-License-Identifier: MIT
"""Masks of descriptors, as kmod/uapi/lwc.h has them: what may be reached through one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm.guest_tests.commands import (
    ACCESS,
    CREDENTIALS,
    FILES_KIND,
    KINDS,
    MEMORY,
    PAGES,
    SHARE,
    SLOTS,
    UNMAP,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.vm.guest_tests.commands import Create, Overlay, Restrict

_NOTHING = -1
_PAGES, _SLOTS = PAGES + 1, SLOTS + 1  # with the one that stands for all others


@dataclass(frozen=True)
class Mask:
    """The most that is allowed of each page, each slot, and the credentials: an action, or nothing."""

    pages: tuple[int, ...] = (_NOTHING,) * _PAGES
    slots: tuple[int, ...] = (_NOTHING,) * _SLOTS
    user: int = _NOTHING

    def allows(self, wanted: Mask) -> bool:
        """Return whether this is no less than what is wanted."""
        return (
            all(one >= other for one, other in zip(self.pages, wanted.pages, strict=True))
            and all(one >= other for one, other in zip(self.slots, wanted.slots, strict=True))
            and self.user >= wanted.user
        )


def of_kinds(kinds: Iterable[int]) -> Mask:
    """Return the mask that allows all of these kinds."""
    level = {kind: SHARE if kind in kinds else _NOTHING for kind in KINDS}
    return Mask((level[MEMORY],) * _PAGES, (level[FILES_KIND],) * _SLOTS, level[CREDENTIALS])


EVERYTHING = of_kinds(KINDS)


@dataclass
class Handle:
    """An open file that names an lwC; None: nobody can say which one it is, of several."""

    mask: Mask | None


def of_access(command: Create) -> Mask | None:
    """Return what a new lwC may reach of its creator."""
    given = [*command.pages, *command.slots]
    if not any(action & ACCESS for _, _, action in given) and not command.credentials & ACCESS:
        return None
    user = command.credentials & ~ACCESS if command.credentials & ACCESS else _NOTHING
    return Mask(
        _levels(_PAGES, ((a, b, _given(action)) for a, b, action in command.pages)),
        _levels(_SLOTS, ((a, b, _given(action)) for a, b, action in command.slots)),
        user,
    )


def of_what_is_named(command: Overlay | Restrict) -> Mask:
    """Return what an overlay wants, or a restriction leaves."""
    return Mask(
        _levels(_PAGES, command.pages),
        _levels(_SLOTS, command.slots),
        _NOTHING if command.credentials is None else command.credentials,
    )


def _given(action: int) -> int:
    if not action & ACCESS:
        return _NOTHING
    return SHARE if action & ~ACCESS == UNMAP else action & ~ACCESS


def _levels(count: int, ranges: Iterable[tuple[int, int, int]]) -> tuple[int, ...]:
    levels = [_NOTHING] * count
    for first, end, level in ranges:
        levels[first:end] = [level] * (end - first)
    return tuple(levels)
