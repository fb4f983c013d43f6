# SPDX-License-Identifier: MIT
"""What kmod/uapi/lwc.h promises, as a small program: the world of one thread and its lwCs.

It knows a few pages of memory, a few descriptors, one user id, who may enter whom, and reach whom
by which name. A command changes it, and it says what the call must answer and what the lwC that
runs then must see.

Where the header leaves a choice, the answer is a set of errors, or the command is not `fair`.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from tests.vm.guest_tests.commands import (
    ACCESS,
    AGAIN,
    BY_ANOTHER,
    CREDENTIALS,
    ENTER_RIGHT,
    FILES,
    FILES_KIND,
    MAY_RETURN,
    MEMORY,
    PAGES,
    PRIVATE_PAGES,
    ROOT,
    SAME_RIGHTS,
    SELF,
    SHARE,
    SUSPEND_ONLY,
    TRAP_SYSCALLS,
    UNMAP,
    About,
    Arrival,
    Ask,
    Call,
    Clone,
    Close,
    Command,
    Create,
    Grant,
    Map,
    OpenSlot,
    Outcome,
    Overlay,
    Perform,
    Refuse,
    Reset,
    Restrict,
    SetUser,
    Switch,
    Write,
)
from tests.vm.guest_tests.lwcs import Lwc, Page, Table, User
from tests.vm.guest_tests.masks import (
    EVERYTHING,
    Handle,
    Mask,
    of_access,
    of_kinds,
    of_what_is_named,
)
from tests.vm.guest_tests.overlays import is_nonsense, overlay
from tests.vm.guest_tests.refusals import Refusals, answered, is_answer, perform


class World:
    """One thread, its root lwC and all others."""

    def __init__(self) -> None:
        pages: list[Page | None] = [Page(shared=n >= PRIVATE_PAGES) for n in range(PAGES - 1)]
        pages.append(None)
        root = Lwc(0, None, pages, Table([*range(FILES), None]), User(), entered=True)
        self.all: dict[int, Lwc] = {}
        self._root = root
        self.runs = root

    def apply(self, command: Command) -> Outcome:
        """Do what the command does, and return what must come of it."""
        arrival = about = result = None
        errors = self._refusals(command)
        if not errors:
            match command:
                case Switch():
                    arrival, result = self._switch(command)
                case Call():
                    arrival, result = self._call(command)
                case Perform():
                    result = self._perform(command)
                case Ask(target):
                    about = self._about(self._named(target))
                case _:
                    self._do(command)
        return Outcome(errors, self.runs.number, self.runs.view(), arrival, about, result)

    def _do(self, command: Command) -> None:
        """Do what only succeeds."""
        match command:
            case Create():
                self._create(command)
            case Clone(snapshot, new):
                self._clone(self._named(snapshot), new)
            case Reset(worker):
                self._reset(self._named(worker))
            case Close(target):
                self._close(self._named(target))
            case Grant(target, holder, rights):
                self._grant(self._named(target), self._named(holder), rights)
            case Overlay():
                overlay(self.runs, self._named(command.target), command)
            case Restrict():
                self._restrict(command)
            case Refuse(target, calls):
                self._refuse(self._named(target), calls)
            case _:
                self._change(command)

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
            case Switch(target, args) if self.all:
                entered = self._named(target)
                return not entered.refuses("ioctl") and (not entered.waits or is_answer(args))
            case Overlay(target) | Restrict(target) | Perform(target) if target not in (SELF, ROOT):
                return self.runs.names[target].mask is not None
        return True

    def may_enter(self, one: Lwc, other: Lwc) -> bool:
        """Return whether *one* may enter *other*."""
        return one is other or other.number in one.may or other.creator is one

    def may_reach(self, one: Lwc, other: Lwc) -> bool:
        """Return whether *one* may reach into *other*, through a name whose mask allows it."""
        given = one.creator is other and one.access is not None
        return other.creator is one or given or other.number in one.reach

    def _refusals(self, command: Command) -> frozenset[int]:
        """Return the errors that are right; none: it must succeed. The order is the header's."""
        match command:
            case Create(flags=flags):
                moving = command.share_files or command.credentials & ~ACCESS == SHARE
                moving |= of_access(command) is not None
                return _one(
                    (bool(command.wrong), errno.EINVAL),
                    (bool(flags & SUSPEND_ONLY) and moving, errno.EINVAL),
                )
            case Overlay() | Restrict() if is_nonsense(command):
                return frozenset({errno.EINVAL})
            case Perform(_, kinds, call) if not kinds or call.name not in BY_ANOTHER:
                return _one((not kinds, errno.EINVAL), (True, errno.ENOSYS))
            case (
                Switch(target) | Clone(target) | Reset(target) | Ask(target) | Grant(target)
                | Overlay(target) | Restrict(target) | Perform(target) | Refuse(target)
            ):  # fmt: skip
                if not self.all:
                    return frozenset({errno.EBADF})
                if self._named(target).dead:
                    return frozenset({errno.ESTALE})
                return self._refusals_of(self._named(target), command)
        return frozenset()

    def _refusals_of(self, lwc: Lwc, command: Command) -> frozenset[int]:
        """Return the errors of a command whose target is an lwC that is there."""
        mine = lwc.creator is self.runs
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
            case Overlay(target) if target != SELF:
                named = of_what_is_named(command)
                allowed = target != ROOT and self._allows(target, named)
                shares = SHARE in (*named.pages, *named.slots, named.user)
                return _one(
                    (lwc is self.runs, errno.EBUSY),
                    (not allowed or not self.may_reach(self.runs, lwc), errno.EACCES),
                    (lwc.frozen and shares, errno.EROFS),
                )
            case Restrict(target):
                return _one((not self._allows(target, of_what_is_named(command)), errno.EACCES))
            case Refuse():
                return _any((not mine, errno.EACCES), (not lwc.refusals, errno.EINVAL))
            case Perform(target, kinds, call):
                allowed = target != ROOT and (
                    lwc is self.runs or self._allows(target, of_kinds(kinds))
                )
                shows = MEMORY in kinds and self.runs.hidden and not lwc.hidden
                return _one(
                    (lwc is self.runs, errno.EBUSY),
                    (not allowed or not self.may_reach(self.runs, lwc), errno.EACCES),
                ) or _any(
                    (self.runs.refuses(call.name), errno.EACCES),
                    (lwc.frozen, errno.EROFS),
                    (shows, errno.EPERM),
                )
        return frozenset()

    def _allows(self, target: int, wanted: Mask) -> bool:
        mask = self.runs.names[target].mask
        assert mask is not None, "a command that is not fair is not applied"
        return mask.allows(wanted)

    def _restrict(self, command: Restrict) -> None:
        mask = of_what_is_named(command)
        if command.new:
            self.runs.names[command.target] = Handle(mask)
        else:
            self.runs.names[command.target].mask = mask

    def _refuse(self, lwc: Lwc, calls: frozenset[str]) -> None:
        assert lwc.refusals
        lwc.refusals.names = calls

    def _call(self, call: Call) -> tuple[Arrival | None, int | None]:
        """Make a call of the one that runs; one that is refused leads to its creator."""
        runs = self.runs
        if not runs.refuses(call.name):
            return None, perform(call, runs.pages, runs.table, runs.user)
        if not runs.creator or runs.creator.waits:
            return None, -errno.EPERM
        runs.waits = call
        return self._enter(runs.creator, runs, (), call)

    def _perform(self, command: Perform) -> int:
        kinds = command.kinds
        memory, files, user = (
            self._named(command.target) if kind in kinds else self.runs
            for kind in (MEMORY, FILES_KIND, CREDENTIALS)
        )
        return perform(command.call, memory.pages, files.table, user.user)

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
            case SetUser(uid):  # that of root on the way
                self.runs.hidden |= bool(self.runs.user.uid or uid)
                self.runs.user.uid = uid

    def _create(self, command: Create) -> None:
        creator = self.runs
        self.all.setdefault(0, self._root)
        for first, end, action in command.pages:
            for page in creator.pages[first:end] if action & ~ACCESS == SHARE else ():
                if page:
                    page.shared = True
        new = creator.copy(command.new, creator)
        if command.share_files:
            new.table = creator.table
        for first, end, action in command.slots:
            if action & ~ACCESS == UNMAP:
                new.table.slots[first:end] = [None] * (end - first)
        for first, end, action in command.pages:
            if action & ~ACCESS == UNMAP:
                new.pages[first:end] = [None] * (end - first)
        if command.credentials & ~ACCESS == SHARE:
            new.user = creator.user
        new.access = of_access(command)
        new.frozen = bool(command.flags & SUSPEND_ONLY)
        new.may = set(creator.may) if command.flags & SAME_RIGHTS else set()
        if command.flags & MAY_RETURN:
            new.may.add(creator.number)
        if creator.refusals or command.flags & TRAP_SYSCALLS:
            new.refusals = Refusals(creator.refusals)
        creator.settled = True
        self.all[command.new] = new
        creator.names[command.new] = Handle(EVERYTHING)

    def _clone(self, snapshot: Lwc, new: int) -> None:
        self.all[new] = worker = snapshot.copy(new, self.runs)
        worker.snapshot, worker.may = snapshot, set(snapshot.may)
        worker.reach = set(snapshot.reach)
        if snapshot.refusals:
            worker.refusals = replace(snapshot.refusals)
        self.runs.names[new] = Handle(EVERYTHING)

    def _grant(self, target: Lwc, holder: Lwc, rights: int) -> None:
        (holder.may.add if rights & ENTER_RIGHT else holder.may.discard)(target.number)
        (holder.reach.add if rights & ACCESS else holder.reach.discard)(target.number)
        if not rights & ACCESS and holder.creator is target:
            holder.access = None

    def _switch(self, command: Switch) -> tuple[Arrival | None, int | None]:
        left, entered = self.runs, self._named(command.target)
        if command.discard:
            self._destroy(left)
        return self._enter(entered, left, command.args)

    def _enter(
        self, entered: Lwc, left: Lwc, args: tuple[int, ...], refused: Call | None = None
    ) -> tuple[Arrival | None, int | None]:
        """Return what the one that is entered is told, or the result of the call it waits in."""
        self.runs = entered
        call, entered.waits = entered.waits, None
        if call:
            return self._call(call) if args[:1] == (AGAIN,) else (None, answered(args))
        caller = None
        if not left.dead and self.may_enter(entered, left):
            caller = left.number
            self._learn(entered, caller)
        first, entered.entered = not entered.entered, True
        creator = None
        if first and entered.creator and entered.access:
            creator = entered.creator.number
            entered.names[creator] = Handle(entered.access)
        elif first and entered.creator and entered.creator.number in entered.may:
            creator = entered.creator.number
            entered.names[creator] = Handle(None)
        return Arrival(first, caller, creator, args, refused), None

    def _reset(self, worker: Lwc) -> None:
        assert worker.snapshot
        assert worker.creator
        fresh = worker.snapshot.copy(worker.number, worker.creator)
        worker.pages, worker.table, worker.user = fresh.pages, fresh.table, fresh.user
        worker.names, worker.entered, worker.own_user = fresh.names, False, None
        worker.hidden, worker.waits = fresh.hidden, None

    def _close(self, lwc: Lwc) -> None:
        for other in self.all.values():
            if other.table is self.runs.table:
                other.names.pop(lwc.number, None)
        if lwc.creator is self.runs and not lwc.dead:
            self._destroy(lwc)

    def _destroy(self, lwc: Lwc) -> None:
        lwc.dead = True
        for other in self.all.values():
            if other.creator is lwc:
                other.creator, other.access = lwc.creator, None

    def _learn(self, lwc: Lwc, number: int) -> None:
        """A name of another is in its table: one it knows, one that was there, or a new one."""
        if number:  # the root has a well-known name
            lwc.names.setdefault(number, Handle(None))

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


def _one(*checks: tuple[bool, int]) -> frozenset[int]:
    """Return the first error whose condition holds."""
    return frozenset([number for wrong, number in checks if wrong][:1])


def _any(*checks: tuple[bool, int]) -> frozenset[int]:
    """Return all errors whose condition holds."""
    return frozenset(number for wrong, number in checks if wrong)
