# SPDX-License-Identifier: MIT
"""Specifications of the driver, as its commands name them: right ones, and wrong ones."""

from __future__ import annotations

from mmap import PAGESIZE
from typing import TYPE_CHECKING

from lwcgi import lwc
from tests.vm.guest_tests.commands import ACCESS, FIRST_SLOT, PAGES, SLOTS

if TYPE_CHECKING:
    from tests.vm.guest_tests.commands import Create, Overlay, Restrict


def specs_of(command: Create | Overlay | Restrict, start: int) -> list[lwc.Spec]:
    """Return what the command says; *start* is the address of the first page."""
    ranges = [
        (lwc.Kind.MEMORY, start + first * PAGESIZE, start + end * PAGESIZE, action)
        if end <= PAGES
        else (lwc.Kind.MEMORY, 0, lwc.ALL, action)
        for first, end, action in command.pages
    ]
    ranges += [
        (lwc.Kind.FILES, FIRST_SLOT + first, FIRST_SLOT + end, action)
        if end <= SLOTS
        else (lwc.Kind.FILES, 0, lwc.ALL, action)
        for first, end, action in command.slots
    ]
    if command.credentials is not None:
        ranges.append((lwc.Kind.CREDENTIALS, 0, lwc.ALL, command.credentials))
    return [
        lwc.Spec(kind, lwc.Action(action & ~ACCESS), first, end, may_access=bool(action & ACCESS))
        for kind, first, end, action in ranges
    ]


def wrong_specs(kind: str, start: int) -> list[lwc.Spec]:
    """Return specifications that are refused; *start* is the address of the first page."""
    memory, copy = lwc.Kind.MEMORY, lwc.Action.COPY
    one = lwc.Spec.memory(start, start + 2 * PAGESIZE, copy)
    return {
        "empty": [lwc.Spec.memory(start, start, copy)],
        "unaligned": [lwc.Spec.memory(start + 8, start + PAGESIZE, copy)],
        "overlap": [one, lwc.Spec.memory(start + PAGESIZE, start + 3 * PAGESIZE, copy)],
        "overlap_files": [lwc.Spec.files(3, 5, copy), lwc.Spec.files(4, 9, copy)],
        "unknown_kind": [lwc.Spec(9, copy)],  # type: ignore[arg-type] # refused is the point
        "unknown_action": [lwc.Spec(memory, 9)],  # type: ignore[arg-type] # likewise
        "unknown_flag": [],
        "unmap_credentials": [lwc.Spec.credentials(lwc.Action.UNMAP)],
        "part_of_files": [lwc.Spec.files(3, 300, lwc.Action.SHARE)],
        "too_many": [lwc.Spec.files(300 + n, 301 + n, copy) for n in range(65)],
    }[kind]
