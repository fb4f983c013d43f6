# SPDX-License-Identifier: MIT
"""Random sequences of commands, each with what the model says must come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm.guest_tests.commands import (
    ACCESS,
    AGAIN,
    ALL_CALLS,
    BY_ANOTHER,
    CALLS,
    COPY,
    ENTER_RIGHT,
    FILES,
    KINDS,
    MAY_RETURN,
    PAGES,
    REFUSABLE,
    ROOT,
    SAME_RIGHTS,
    SELF,
    SHARE,
    SHARE_SIGNALS,
    SLOTS,
    SUSPEND_ONLY,
    TRAP_SYSCALLS,
    UNMAP,
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
    Ranges,
    Refuse,
    Reset,
    Restrict,
    SetUser,
    Switch,
    Write,
)
from tests.vm.guest_tests.masks import of_kinds, of_what_is_named
from tests.vm.guest_tests.model import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WRONG = (
    *("empty", "unaligned", "overlap", "overlap_files", "unknown_kind", "unknown_action"),
    *("unknown_flag", "unmap_credentials", "part_of_files", "too_many"),
)
"""Mistakes of a create, each of them EINVAL."""

_ALIVE = 7  # so many lwCs at a time
_MOST = 40  # and in all
_USERS = (0, 0, 1001, 1002)
_RIGHTS = (0, ENTER_RIGHT, ENTER_RIGHT, ACCESS, ENTER_RIGHT | ACCESS, ENTER_RIGHT | ACCESS)


@dataclass(frozen=True)
class Step:
    """A command, and what must come of it."""

    command: Command
    outcome: Outcome


class _Author:
    """Writes one sequence."""

    def __init__(self, seed: int, reach: bool) -> None:
        self._dice = random.Random(seed)
        self._reach = reach
        self._world = World()
        self._made = 0
        self._next: list[Callable[[], Command | None]] = []  # of a round that was begun

    def steps(self, length: int) -> list[Step]:
        kinds = {
            self._create: 5, self._switch: 9, self._clone: 3, self._reset: 3, self._close: 1,
            self._grant: 2, self._ask: 1, self._write: 5, self._map: 1, self._slot: 2,
            self._user: 1, self._round: 2,
        }  # fmt: skip
        if self._reach:
            kinds |= {self._overlay: 6, self._undo: 1, self._restrict: 2}
            kinds |= {self._perform: 6, self._call: 4, self._refuse: 2, self._answer: 5}
            kinds |= {self._round_of_refusals: 1}
        before = {self._create: 5, self._write: 2, self._slot: 1, self._ask: 1, self._switch: 1}
        steps: list[Step] = []
        while len(steps) < length:
            some = kinds if self._world.all else before
            [kind] = self._dice.choices(list(some), list(some.values()))
            command = self._next.pop(0)() if self._next else kind()
            if command and self._world.is_fair(command):
                outcome = self._world.apply(command)
                self._made += isinstance(command, Create | Clone) and not outcome.errors
                steps.append(Step(command, outcome))
        return steps

    def _round(self) -> None:
        """Begin what chance alone seldom does: a worker changes things, is reset, and looks."""
        if self._is_full() or self._world.runs.snapshot:
            return
        creator, snapshot = self._world.runs.number or ROOT, self._made + 1
        worker = snapshot + 1
        changes = [self._write, self._map, self._slot, self._user]
        others = [
            n for n in self._world.runs.names if self._world.all[n].creator is self._world.runs
        ]
        other = self._dice.choice(others) if others and self._reach else None
        reaching = [self._overlay] * self._reach
        self._next = [
            lambda: Create(snapshot, SUSPEND_ONLY | MAY_RETURN, *self._two_ranges()),
            lambda: self._refusal(snapshot),
            *self._dice.choices(changes, k=self._dice.randint(0, 2)),
            lambda: Clone(snapshot, worker),
            lambda: None if other is None else Grant(other, worker, ACCESS),
            lambda: Switch(worker),
            *self._dice.choices([*changes, *reaching, *reaching], k=self._dice.randint(1, 4)),
            lambda: Switch(creator),
            *self._dice.choices([*changes, *reaching], k=self._dice.randint(0, 2)),
            lambda: Reset(worker),
            lambda: Switch(worker),
        ]

    def _round_of_refusals(self) -> None:
        """Begin another: one waits for the answer to a refused call, while what it made runs."""
        if self._is_full():
            return
        creator, outer = self._world.runs.number or ROOT, self._made + 1
        inner = outer + 1
        nested = self._dice.choice((0, TRAP_SYSCALLS))
        self._next = [
            lambda: Create(outer, MAY_RETURN | TRAP_SYSCALLS),
            lambda: self._refusal(outer),
            lambda: Switch(outer),
            lambda: Create(inner, SAME_RIGHTS | MAY_RETURN | nested),
            lambda: self._refusal(inner),
            lambda: Grant(inner, creator),
            self._perform,
            lambda: Switch(inner),
            self._call,
            self._answer,
            lambda: Switch(creator),
            lambda: self._refusal(outer),
            lambda: Switch(outer),
            self._call,
            lambda: Switch(inner),
            self._call,
            lambda: Switch(creator),
            self._answer,
        ]

    def _target(self, wanted: str = "") -> int | None:
        """Return a name the one that runs knows, most of the time one that fits; None: roll again."""
        runs = self._world.runs
        names = sorted(runs.names)
        fit = {
            "": names,
            "enter": [
                n
                for n in [*names, 0]
                if (lwc := self._world.all.get(n))
                and lwc is not runs
                and not lwc.dead
                and not lwc.frozen
                and self._world.may_enter(runs, lwc)
            ],
            "snapshot": [n for n in names if self._world.all[n].frozen],
            "worker": [n for n in names if self._world.all[n].snapshot],
            "waiting": [n for n in names if self._world.all[n].waits],
            "refused": [
                n
                for n in [*names, SELF]
                if (lwc := runs if n == SELF else self._world.all[n]).refusals
            ],
            "perform": [
                n
                for n in names
                if (lwc := self._world.all[n])
                and self._world.may_reach(runs, lwc)
                and not lwc.dead
                and not lwc.frozen
            ],
            "reach": [n for n in names if self._world.may_reach(runs, self._world.all[n])],
        }[wanted]
        luck = self._dice.random()
        if fit and luck < 0.9:
            return self._dice.choice(fit) or ROOT
        if luck < 0.8:
            return None
        return self._dice.choice([*names, SELF, ROOT])

    def _is_full(self) -> bool:
        alive = sum(not lwc.dead for lwc in self._world.all.values())
        return alive >= _ALIVE or self._made >= _MOST

    def _create(self) -> Create | None:
        if self._is_full():
            return None
        roll = self._dice.random
        flags = SHARE_SIGNALS if roll() < 0.3 else 0
        flags |= MAY_RETURN if roll() < 0.7 else 0
        flags |= SAME_RIGHTS if roll() < 0.2 else 0
        flags |= SUSPEND_ONLY if roll() < 0.35 else 0
        flags |= TRAP_SYSCALLS if self._reach and roll() < 0.3 else 0
        wrong = self._dice.choice(WRONG) if roll() < 0.08 else ""
        share_files = roll() < 0.12
        share_user = roll() < 0.15
        pages, slots = self._two_ranges()
        user = SHARE if share_user else COPY
        if self._reach and (not flags & SUSPEND_ONLY or roll() < 0.05):
            pages, slots = self._with_access(pages), self._with_access(slots)
            user |= ACCESS if roll() < 0.1 else 0
        new = self._made + 1
        if self._reach:
            self._next = [lambda: self._refusal(new)]
        return Create(new, flags, pages, () if share_files else slots, share_files, user, wrong)

    def _with_access(self, ranges: Ranges) -> Ranges:
        """Return the same, some of which the new lwC may reach later."""
        return tuple(
            (first, end, action | (ACCESS if self._dice.random() < 0.4 else 0))
            for first, end, action in ranges
        )

    def _two_ranges(self) -> tuple[Ranges, Ranges]:
        """Return specifications for pages and for slots."""
        return self._ranges(PAGES, (COPY, SHARE, UNMAP)), self._ranges(SLOTS, (COPY, UNMAP))

    def _ranges(self, end: int, actions: tuple[int, ...]) -> Ranges:
        """Return some ranges below *end* that do not overlap, in any order."""
        cuts = sorted(self._dice.sample(range(end + 1), 2 * self._dice.randint(0, 2)))
        ranges = [
            (first, last, self._dice.choice(actions))
            for first, last in zip(cuts[::2], cuts[1::2], strict=True)
        ]
        self._dice.shuffle(ranges)
        return tuple(ranges)

    def _switch(self) -> Switch | None:
        args = tuple(self._dice.getrandbits(64) for _ in range(self._dice.randint(0, 8)))
        target = self._target("enter")
        if target in self._world.runs.names and self._world.all[target].waits:
            args = self._words_of_answer()
        return None if target is None else Switch(target, args, self._dice.random() < 0.06)

    def _clone(self) -> Clone | None:
        target = None if self._is_full() else self._target("snapshot")
        return None if target is None else Clone(target, self._made + 1)

    def _reset(self) -> Reset | None:
        target = self._target("worker")
        return None if target is None else Reset(target)

    def _close(self) -> Close | None:
        target = self._target()
        return None if target is None else Close(target)

    def _grant(self) -> Grant | None:
        target, holder = self._target(), self._target()
        if target is None or holder is None:
            return None
        return Grant(target, holder, self._dice.choice(_RIGHTS if self._reach else _RIGHTS[:3]))

    def _overlay(self) -> Overlay | None:
        """Most of the time something that is allowed."""
        target = self._target("reach") if self._world.runs.names else None
        if target is None:
            return None
        actions = (COPY, COPY, SHARE) + ((UNMAP,) if self._dice.random() < 0.02 else ())
        command = Overlay(
            target if target != ROOT or self._dice.random() < 0.1 else 0,
            self._ranges(PAGES, actions),
            self._ranges(SLOTS, (COPY,)),
            self._dice.choice((None, None, COPY, SHARE)),
        )
        handle = self._world.runs.names.get(command.target)
        if handle and handle.mask and not handle.mask.allows(of_what_is_named(command)):
            return command if self._dice.random() < 0.3 else None
        return command

    def _undo(self) -> Overlay:
        user = self._dice.choice((None, COPY, COPY))
        return Overlay(SELF, self._ranges(PAGES, (UNMAP,)), self._ranges(SLOTS, (UNMAP,)), user)

    def _restrict(self) -> Restrict | None:
        target = self._target()
        if target is None:
            return None
        pages = self._ranges(PAGES, (COPY, SHARE, SHARE))
        slots = self._ranges(SLOTS, (COPY,))
        if self._dice.random() < 0.4:
            pages = ((0, PAGES + 1, SHARE),)
        if self._dice.random() < 0.4:
            slots = ((0, SLOTS + 1, SHARE),)
        user = self._dice.choice((None, COPY, SHARE))
        return Restrict(target, pages, slots, user, self._dice.random() < 0.6)

    def _call(self, names: Sequence[str] = CALLS) -> Call:
        """Most of the time one that is refused, where any is."""
        refused = [name for name in names if self._world.runs.refuses(name)]
        name = self._dice.choice(refused if refused and self._dice.random() < 0.7 else names)
        to = self._dice.randrange(PAGES if name == "pread64" else SLOTS)
        return Call(name, self._dice.randrange(SLOTS), to)

    def _perform(self) -> Perform | None:
        """Most of the time something that is allowed."""
        target = self._target("perform") if self._world.runs.names else None
        if target is None:
            return None
        kinds = self._dice.sample(KINDS, self._dice.choice((1, 1, 1, 2, 2, 3)))
        if self._dice.random() < 0.02:
            kinds = []
        rare = self._dice.random() < 0.05
        command = Perform(target, tuple(kinds), self._call(CALLS if rare else BY_ANOTHER))
        handle = self._world.runs.names.get(target)
        if handle and handle.mask and not handle.mask.allows(of_kinds(kinds)):
            return command if self._dice.random() < 0.3 else None
        return command

    def _refuse(self) -> Refuse | None:
        target = self._target("refused")
        return None if target is None else Refuse(target, self._some_calls())

    def _refusal(self, target: int) -> Refuse | None:
        """Say what is refused to one that was just made, so that it can be entered."""
        lwc = self._world.all.get(target)
        return Refuse(target, self._some_calls()) if lwc and lwc.refusals else None

    def _some_calls(self) -> frozenset[str]:
        if self._dice.random() < 0.05:
            return ALL_CALLS
        return frozenset(name for name in REFUSABLE if self._dice.random() < 0.6)

    def _answer(self) -> Switch | None:
        target = self._target("waiting")
        return None if target is None else Switch(target, self._words_of_answer())

    def _words_of_answer(self) -> tuple[int, ...]:
        words = (AGAIN,), (AGAIN,), (), (0, self._dice.getrandbits(63)), (13, 1), (4095,)
        return self._dice.choice(words)

    def _ask(self) -> Ask | None:
        target = self._target()
        return None if target is None else Ask(target)

    def _write(self) -> Write:
        return Write(self._dice.randrange(PAGES), self._dice.getrandbits(64))

    def _map(self) -> Map:
        page = self._dice.choice([*range(PAGES), *[PAGES - 1] * 4])
        there = self._world.runs.pages[page] is not None
        return Map(page, not there or self._dice.random() < 0.2)

    def _slot(self) -> OpenSlot:
        file = self._dice.choice([None, *range(FILES)])
        return OpenSlot(self._dice.randrange(SLOTS), file)

    def _user(self) -> SetUser:
        return SetUser(self._dice.choice(_USERS))


def make(seed: int, length: int, *, reach: bool = True) -> list[Step]:
    """Return the sequence of this seed.

    Parameters:
        seed: the same one gives the same sequence, with every Python.
        length: in commands.
        reach: whether lwCs also reach into each other.
    """
    return _Author(seed, reach).steps(length)
