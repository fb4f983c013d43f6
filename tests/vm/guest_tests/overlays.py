# SPDX-License-Identifier: MIT
"""What an overlay does in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vm.guest_tests.commands import COPY, ROOT, SELF, SHARE, UNMAP, Overlay, Restrict
from tests.vm.guest_tests.lwcs import Page, User

if TYPE_CHECKING:
    from tests.vm.guest_tests.lwcs import Lwc


def is_nonsense(command: Overlay | Restrict) -> bool:
    """Return whether an action does not go with the name, whatever that names."""
    actions = {action for _, _, action in (*command.pages, *command.slots)}
    if isinstance(command, Restrict):
        return UNMAP in actions or command.target in (SELF, ROOT)
    if command.target == SELF:
        return bool(actions - {UNMAP}) or command.credentials not in (None, COPY)
    return UNMAP in actions


def overlay(runs: Lwc, source: Lwc, command: Overlay) -> None:
    """Have resources of the source in the one that runs, or, where it is that, undo it."""
    for first, end, action in command.pages:
        for n in range(first, end):
            page = source.pages[n] if action != UNMAP else None
            if page and action == SHARE:
                page.shared = True
            runs.pages[n] = Page(page.value) if page and not page.shared else page
    for first, end, action in command.slots:
        there = source.table.slots[first:end]
        runs.table.slots[first:end] = [None] * len(there) if action == UNMAP else there
    if command.credentials is None:
        return
    before = runs.user.uid
    if source is runs or (command.credentials == SHARE and source.user is runs.own_user):
        runs.user, runs.own_user = runs.own_user or runs.user, None
    elif command.credentials == COPY or source.user is not runs.user:
        runs.own_user = runs.own_user or runs.user
        copied = command.credentials == COPY
        runs.user = User(source.user.uid) if copied else source.user
    runs.hidden |= runs.user.uid != before
