# SPDX-License-Identifier: MIT
"""What kmod/uapi/lwc.h promises, as a small program: the world of one thread and its lwCs.

It knows a few pages of memory, a few descriptors, one user id, and who may enter whom. A command
changes it, and it says what the call must answer and what the lwC that runs then must see.

Where the header leaves a choice, the answer is a set of errors, or the command is not `fair`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace

from tests.vm.guest_tests.commands import (
    MAY_RETURN,
    PAGES,
    PRIVATE_PAGES,
    ROOT,
    SAME_RIGHTS,
    SELF,
    SHARE,
    SLOTS,
    SUSPEND_ONLY,
    TRAP_SYSCALLS,
    UNMAP,
    About,
    Arrival,
    Ask,
    Clone,
    Close,
    Command,
    Create,
    Grant,
    Map,
    OpenSlot,
    Outcome,
    Reset,
    SetUser,
    Switch,
    View,
    Write,
)


@dataclass
class Page:
    """A page of memory. A shared one is the same object in several lwCs."""

    value: int = 0
    shared: bool = False


@dataclass
class Table:
    """A table of descriptors: slots, and the names of lwCs."""

    slots: list[int | None]


@dataclass
class User:
    """Credentials."""

    uid: int = 0


@dataclass
class Lwc:
    """One lwC. *names*: those it knows a descriptor of; *may*: those it was let enter."""

    number: int
    creator: Lwc | None
    pages: list[Page | None]
    table: Table
    user: User
    names: set[int] = field(default_factory=set)
    may: set[int] = field(default_factory=set)
    frozen: bool = False
    snapshot: Lwc | None = None
    entered: bool = False
    dead: bool = False
    args: tuple[int, ...] = ()
    settled: bool = False  # has made lwCs or was granted something: not clear after a reset

    def copy(self, number: int, creator: Lwc) -> Lwc:
        """Return a copy in all three kinds of resources."""
        return replace(
            self,
            number=number,
            creator=creator,
            pages=[
                page if page is None or page.shared else Page(page.value) for page in self.pages
            ],
            table=Table(list(self.table.slots)),
            user=User(self.user.uid),
            names=set(self.names),
            may=set(),
            frozen=False,
            snapshot=None,
            entered=False,
            settled=False,
        )


class World:
    """One thread, its root lwC and all others."""

    def __init__(self) -> None:
        pages: list[Page | None] = [Page(shared=n >= PRIVATE_PAGES) for n in range(PAGES - 1)]
        pages.append(None)
        root = Lwc(0, None, pages, Table([None] * SLOTS), User(), entered=True)
        self.all: dict[int, Lwc] = {}
        self._root = root
        self.runs = root

    def apply(self, command: Command) -> Outcome:
        """Do what the command does, and return what must come of it."""
        arrival = about = None
        errors = self._refusals(command)
        if not errors:
            match command:
                case Create():
                    self._create(command)
                case Clone(snapshot, new):
                    self._clone(self._named(snapshot), new)
                case Switch():
                    arrival = self._switch(command)
                case Reset(worker):
                    self._reset(self._named(worker))
                case Close(target):
                    self._close(self._named(target))
                case Grant(target, holder, give):
                    self._grant(self._named(target), self._named(holder), give)
                case Ask(target):
                    about = self._about(self._named(target))
                case _:
                    self._change(command)
        return Outcome(errors, self.runs.number, self._view(), arrival, about)

    def is_fair(self, command: Command) -> bool:
        """Return whether the header says what must come of it, and the lwC that runs can do it."""
        targets = [
            getattr(command, part)
            for part in ("target", "holder", "snapshot", "worker")
            if hasattr(command, part)
        ]
        if any(n not in (SELF, ROOT) and n not in self.runs.names for n in targets):
            return False
        match command:
            case Write(page):
                return self.runs.pages[page] is not None
            case Reset(worker) if self.all:
                return not self._named(worker).settled
            case Close(target):
                return target not in (SELF, ROOT)
        return True

    def may_enter(self, one: Lwc, other: Lwc) -> bool:
        """Return whether *one* may enter *other*."""
        return one is other or other.number in one.may or other.creator is one

    def _refusals(self, command: Command) -> frozenset[int]:
        """Return the errors that are right; none: it must succeed. The order is the header's."""
        match command:
            case Create(flags=flags):
                moving = command.share_files or command.credentials == SHARE
                wrong = bool(command.wrong) or (bool(flags & SUSPEND_ONLY) and moving)
                return _one((wrong, errno.EINVAL), (bool(flags & TRAP_SYSCALLS), errno.ENOSYS))
            case Switch(target) | Clone(target) | Reset(target) | Ask(target) | Grant(target):
                if not self.all:
                    return frozenset({errno.EBADF})
            case _:
                return frozenset()
        lwc = self._named(target)
        mine = lwc.creator is self.runs
        if lwc.dead:
            return frozenset({errno.ESTALE})
        match command:
            case Switch():
                return _one(
                    (not self.may_enter(self.runs, lwc), errno.EACCES),
                    (lwc is self.runs, errno.EBUSY),
                    (lwc.frozen, errno.EROFS),
                )
            case Clone():
                return _any((not mine, errno.EACCES), (not lwc.frozen, errno.EINVAL))
            case Reset():
                if lwc.snapshot and mine:
                    return _one((lwc.snapshot.dead, errno.ESTALE))
                return _any(
                    (not mine, errno.EACCES),
                    (not lwc.snapshot, errno.EINVAL),
                )
            case Grant(_, holder):
                return _one(
                    (self._named(holder).dead, errno.ESTALE),
                    (not mine and lwc is not self.runs, errno.EACCES),
                )
        return frozenset()

    def _change(self, command: Command) -> None:
        """Do what needs no call of the module."""
        match command:
            case Write(page, value):
                written = self.runs.pages[page]
                assert written, "a command that is not fair is not applied"
                written.value = value
            case Map(page, there):
                self.runs.pages[page] = Page() if there else None
            case OpenSlot(slot, file):
                self.runs.table.slots[slot] = file
            case SetUser(uid):
                self.runs.user.uid = uid

    def _create(self, command: Create) -> None:
        creator = self.runs
        self.all.setdefault(0, self._root)
        for first, end, action in command.pages:
            for page in creator.pages[first:end] if action == SHARE else ():
                if page:
                    page.shared = True
        new = creator.copy(command.new, creator)
        if command.share_files:
            new.table = creator.table
        for first, end, action in command.slots:
            if action == UNMAP:
                new.table.slots[first:end] = [None] * (end - first)
        for first, end, action in command.pages:
            if action == UNMAP:
                new.pages[first:end] = [None] * (end - first)
        if command.credentials == SHARE:
            new.user = creator.user
        new.frozen = bool(command.flags & SUSPEND_ONLY)
        new.may = set(creator.may) if command.flags & SAME_RIGHTS else set()
        if command.flags & MAY_RETURN:
            new.may.add(creator.number)
        creator.settled = True
        self.all[command.new] = new
        self._learn(creator, command.new)

    def _clone(self, snapshot: Lwc, new: int) -> None:
        self.all[new] = worker = snapshot.copy(new, self.runs)
        worker.snapshot, worker.may = snapshot, set(snapshot.may)
        self._learn(self.runs, new)

    def _grant(self, target: Lwc, holder: Lwc, give: bool) -> None:
        holder.settled = True
        (holder.may.add if give else holder.may.discard)(target.number)

    def _switch(self, command: Switch) -> Arrival:
        left, entered = self.runs, self._named(command.target)
        if command.discard:
            self._destroy(left)
        self.runs = entered
        caller = None
        if not command.discard and self.may_enter(entered, left):
            caller = left.number
            self._learn(entered, caller)
        first, entered.entered = not entered.entered, True
        creator = None
        if first and entered.creator and entered.creator.number in entered.may:
            creator = entered.creator.number
            self._learn(entered, creator)
        return Arrival(first, caller, creator, command.args)

    def _reset(self, worker: Lwc) -> None:
        assert worker.snapshot
        assert worker.creator
        fresh = worker.snapshot.copy(worker.number, worker.creator)
        worker.pages, worker.table, worker.user = fresh.pages, fresh.table, fresh.user
        worker.names, worker.entered = fresh.names, False

    def _close(self, lwc: Lwc) -> None:
        for other in self.all.values():
            if other.table is self.runs.table:
                other.names.discard(lwc.number)
        if lwc.creator is self.runs and not lwc.dead:
            self._destroy(lwc)

    def _destroy(self, lwc: Lwc) -> None:
        lwc.dead = True
        for other in self.all.values():
            if other.creator is lwc:
                other.creator = lwc.creator

    def _learn(self, lwc: Lwc, number: int) -> None:
        """A name of another is in its table now; a number that was free may be in use again."""
        if number:  # the root has a well-known name
            lwc.names.add(number)

    def _about(self, lwc: Lwc) -> About:
        return About(
            lwc.number,
            lwc.creator.number if lwc.creator else None,
            lwc.snapshot.number if lwc.snapshot else None,
            lwc is self.runs,
            lwc.entered if lwc.number else None,  # nobody has created the root
            sum(not other.dead for other in self.all.values()),
        )

    def _named(self, number: int) -> Lwc:
        if number == SELF:
            return self.runs
        return self.all[0 if number == ROOT else number]

    def _view(self) -> View:
        lwc = self.runs
        pages = tuple(None if page is None else page.value for page in lwc.pages)
        return View(pages, tuple(lwc.table.slots), lwc.user.uid)


def _one(*checks: tuple[bool, int]) -> frozenset[int]:
    """Return the first error whose condition holds."""
    return frozenset([number for wrong, number in checks if wrong][:1])


def _any(*checks: tuple[bool, int]) -> frozenset[int]:
    """Return all errors whose condition holds."""
    return frozenset(number for wrong, number in checks if wrong)
