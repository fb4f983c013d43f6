# SPDX-License-Identifier: MIT
"""Runs sequences of `plans` in real lwCs, and compares each step with the model.

$ python -m tests.vm.guest_tests.driver FIRST_SEED COUNT LENGTH

What a plan holds is in the memory of every lwC. The one thing they share is a page that says how
far the plan has come, so each lwC runs the same loop: take the next command, do it, compare.
Whoever is entered finds there which command it was that led to him.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import signal
import sys
import tempfile
import time
import traceback

from lwcgi import lwc
from lwcgi.lwc import _door
from lwcgi.lwc.callnames import number_of
from tests.vm.guest_tests import commands, plans
from tests.vm.guest_tests.commands import (
    ALL_CALLS,
    FIRST_SLOT,
    PAGES,
    PRIVATE_PAGES,
    ROOT,
    SELF,
    View,
)
from tests.vm.guest_tests.specifications import specs_of, wrong_specs

_SECONDS = 60  # for one sequence
_ENOUGH = 5  # failed ones
_REACH = lwc.Feature.OVERLAY | lwc.Feature.SYSCALL | lwc.Feature.TRAP
_PAGE = mmap.PAGESIZE
_MAP_FIXED = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
]
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long] * 7
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


class Control(ctypes.Structure):
    """The page that all lwCs of a sequence share, and the process that started it."""

    _fields_ = [
        ("next", ctypes.c_int64),
        ("done", ctypes.c_int64),
        ("ids", ctypes.c_uint64 * 64),
        ("text", ctypes.c_char * 3000),
    ]


class Difference(Exception):
    """The world is not what the model says."""


class Driver:
    """What one lwC knows. All of it is private memory, so each has its own after a create.

    Parameters:
        steps: the plan.
        control: shared.
        files: paths of the files that slots can name.
    """

    def __init__(self, steps: list[plans.Step], control: Control, files: list[str]) -> None:
        self._steps = steps
        self._control = control
        self._files = files
        self._inodes = {os.stat(path).st_ino: n for n, path in enumerate(files)}
        self._arena = mmap.mmap(-1, PAGES * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._arena))
        for page in range(PRIVATE_PAGES, PAGES - 1):
            self._map(page, mmap.MAP_SHARED)
        _libc.munmap(self._address(PAGES - 1), _PAGE)
        for slot in range(commands.FILES):
            self._open(slot, slot)
        self._names = {SELF: lwc.SELF, ROOT: lwc.ROOT}

    def run(self) -> None:
        """Do the commands that are left, in this lwC and those it becomes."""
        while self._control.next < len(self._steps):
            step = self._steps[self._control.next]
            self._control.next += 1
            number, result = 0, None
            try:
                result = self._do(step.command)
            except lwc.LwcError as error:
                number = error.errno
            # After a switch it is another step that led here.
            self._compare(self._steps[self._control.next - 1], number, result)

    def _do(self, command: commands.Command) -> object:
        names = self._names
        match command:
            case commands.Create():
                return self._create(command)
            case commands.Switch(target, args, discard):
                return lwc.switch(names[target], *args, discard=discard)
            case commands.Clone(snapshot, new):
                names[new] = lwc.clone(names[snapshot])
                self._control.ids[new] = names[new].info().id
            case commands.Reset(worker):
                lwc.reset(names[worker])
            case commands.Close(target):
                names.pop(target).close()
            case commands.Grant(target, holder, 0):
                names[target].revoke(names[holder])
            case commands.Grant(target, holder, rights):
                names[target].grant(names[holder], lwc.Right(rights))
            case commands.Ask(target):
                return names[target].info()
            case _:
                return self._reach(command)
        return None

    def _reach(self, command: commands.Command) -> object:
        """Do what reaches into another, or is about system calls."""
        names = self._names
        match command:
            case commands.Overlay(target):
                lwc.overlay(names[target], specs_of(command, self._start))
            case commands.Restrict(target, new=True):
                names[target] = names[target].restricted(specs_of(command, self._start))
            case commands.Restrict(target):
                names[target].restrict(specs_of(command, self._start))
            case commands.Refuse(target, calls) if calls == ALL_CALLS:
                names[target].allow_only([])
            case commands.Refuse(target, calls):
                names[target].refuse(calls)
            case commands.Perform(target, kinds, call):
                door, mask = lwc.current_door().fd, sum(1 << kind for kind in kinds)
                number = number_of(call.name)
                return _door.syscall(door, names[target].fd, mask, number, self._words(call))
            case commands.Call(name):
                result: int = _libc.syscall(number_of(name), *self._words(command))
                return -ctypes.get_errno() if result == -1 else result
            case _:
                self._change(command)
        return None

    def _change(self, command: commands.Command) -> None:
        """Do what needs no call of the module."""
        match command:
            case commands.Write(page, value):
                self._word(page).value = value
            case commands.Map(page, True):
                self._map(page, mmap.MAP_PRIVATE)
            case commands.Map(page, False):
                _libc.munmap(self._address(page), _PAGE)
            case commands.OpenSlot(slot, file):
                self._open(slot, file)
            case commands.SetUser(uid):
                os.seteuid(0)
                os.seteuid(uid)

    def _create(self, command: commands.Create) -> object:
        flags = lwc.Flag(command.flags)
        specs = specs_of(command, self._start)
        if command.share_files:
            specs.append(lwc.Spec.files(0, lwc.ALL, lwc.Action.SHARE))
        if command.wrong:
            specs = wrong_specs(command.wrong, self._start)
            flags |= 1 << 30 if command.wrong == "unknown_flag" else 0
        result = lwc.create(flags=flags, specs=specs)
        if isinstance(result, lwc.Created):
            self._names[command.new] = result.context
            if command.new == 1:
                self._control.ids[0] = lwc.SELF.info().id
            self._control.ids[command.new] = result.context.info().id
        return result

    def _compare(self, step: plans.Step, number: int, result: object) -> None:
        outcome = step.outcome
        if number not in (outcome.errors or {0}):
            raise Difference(f"answered {_name(number)}")
        if outcome.result is not None and not number:
            self._identify(outcome)
            if result != outcome.result:
                raise Difference(f"the system call answered {result}")
        if outcome.arrival and not number:
            if not isinstance(result, lwc.Entered | lwc.Switched):
                raise Difference(f"entered, and the call returned {result}")
            self._arrive(outcome, outcome.arrival, result)
        if outcome.about and isinstance(result, lwc.Info):
            self._know(outcome.about, result)
        view = self._view()
        if view != outcome.view:
            raise Difference(f"number {outcome.runs} sees {view}")

    def _arrive(
        self,
        outcome: commands.Outcome,
        arrival: commands.Arrival,
        result: lwc.Entered | lwc.Switched,
    ) -> None:
        self._identify(outcome)
        first = isinstance(result, lwc.Entered)
        told = commands.Arrival(
            first,
            self._learn(result.caller),
            self._learn(result.creator, anew=True) if isinstance(result, lwc.Entered) else None,
            result.args,
            arrival.refused,
        )
        if told != arrival:
            raise Difference(f"was told {told}")
        wanted, came = arrival.refused, result.trapped
        if (wanted and (wanted.name, self._words(wanted))) != (came and (came.name, came.args)):
            raise Difference(f"was told of {came}")

    def _identify(self, outcome: commands.Outcome) -> None:
        """Before the first create there is one only, and no number of it."""
        if not self._control.ids[0]:
            return
        me = lwc.SELF.info().id
        if me != self._control.ids[outcome.runs]:
            raise Difference(f"entered was {self._number(me)}")

    def _know(self, about: commands.About, info: lwc.Info) -> None:
        state = info.state & ~(lwc.State.ENTERED if about.entered is None else lwc.State(0))
        expected = lwc.State(0)
        for bit, holds in (
            (lwc.State.RUNNING, about.running),
            (lwc.State.ROOT, about.number == 0),
            (lwc.State.WORKER, about.snapshot is not None),
            (lwc.State.ENTERED, bool(about.entered)),
        ):
            expected |= bit if holds else lwc.State(0)
        said = (
            self._number(info.id),
            self._number(info.creator) if info.creator else None,
            self._number(info.snapshot) if info.snapshot else None,
            state & ~lwc.State.SNAPSHOT,
            info.contexts,
        )
        if said != (about.number, about.creator, about.snapshot, expected, about.contexts):
            raise Difference(f"is told {said}")

    def _learn(self, context: lwc.Context | None, *, anew: bool = False) -> int | None:
        """Return the number of an lwC; know this name of it, if none is known or *anew*."""
        if context is None:
            return None
        number = self._number(context.info().id)
        if anew or not self._is_known(number):
            self._names[number] = context
        return number

    def _is_known(self, number: int) -> bool:
        try:
            return self._names[number].info().id == self._control.ids[number]
        except (KeyError, lwc.LwcError):
            return False

    def _number(self, identity: int) -> int:
        return list(self._control.ids).index(identity)

    def _view(self) -> View:
        pages = tuple(
            self._word(page).value if self._is_there(page) else None for page in range(PAGES)
        )
        slots = tuple(self._file(slot) for slot in range(commands.SLOTS))
        return View(pages, slots, os.getresuid()[1])  # geteuid can be refused

    def _words(self, call: commands.Call) -> tuple[int, ...]:
        """Return the arguments of a system call."""
        slot = FIRST_SLOT + call.slot
        words = {
            "pread64": (slot, self._address(call.to), 8),
            "dup2": (slot, FIRST_SLOT + call.to),
            "close": (slot,),
        }.get(call.name, ())
        return (*words, *[0] * (6 - len(words)))

    def _address(self, page: int) -> int:
        return self._start + page * _PAGE

    def _word(self, page: int) -> ctypes.c_uint64:
        return ctypes.c_uint64.from_address(self._address(page))

    def _is_there(self, page: int) -> bool:
        return _libc.mincore(self._address(page), _PAGE, ctypes.create_string_buffer(1)) == 0

    def _map(self, page: int, kind: int) -> None:
        access = mmap.PROT_READ | mmap.PROT_WRITE
        kind |= mmap.MAP_ANONYMOUS | _MAP_FIXED
        where = self._address(page)
        if _libc.mmap(where, _PAGE, access, kind, -1, 0) != where:
            raise Difference("mmap fails")

    def _open(self, slot: int, file: int | None) -> None:
        if file is not None:
            fd = os.open(self._files[file], os.O_RDONLY)
            os.dup2(fd, FIRST_SLOT + slot, inheritable=False)
            os.close(fd)
        elif self._file(slot) is not None:
            os.close(FIRST_SLOT + slot)

    def _file(self, slot: int) -> int | None:
        try:
            return self._inodes[os.fstat(FIRST_SLOT + slot).st_ino]
        except OSError:
            return None


def _name(number: int) -> str:
    return os.strerror(number) if number else "success"


def run_one(seed: int, length: int, files: list[str]) -> str:
    """Run the sequence of a seed in a process of its own; return what went wrong, or nothing."""
    with lwc.Door() as door:
        reach = _REACH in door.features
    steps = plans.make(seed, length, reach=reach)
    shared = mmap.mmap(-1, ctypes.sizeof(Control))
    control = Control.from_buffer(shared)
    pid = os.fork()
    if pid == 0:
        _be(steps, control, files)
    deadline = time.monotonic() + _SECONDS
    status = None
    while status is None and time.monotonic() < deadline:
        ended, code = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if ended else time.sleep(0.001)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if status == 0 and control.done:
        return ""
    last = max(control.next - 1, 0)
    return (
        f"seed {seed}, step {last}: {control.text.decode() or f'ended with {status}'}; "
        f"wanted {steps[last].outcome} of {steps[last].command}"
    )


def _be(steps: list[plans.Step], control: Control, files: list[str]) -> None:
    """Be the process of a sequence, whose lwCs all end here."""
    try:
        Driver(steps, control, files).run()
        control.done = 1
    except BaseException:  # noqa: BLE001 - told by the process that waits
        control.text = traceback.format_exc()[-2900:].encode()
    os._exit(0)


def main() -> int:
    """Run sequences until a few have failed; print what differs, and how many were run."""
    first, count, length = map(int, sys.argv[1:])
    gc.disable()
    gc.freeze()
    failures: list[int] = []
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        files = [os.path.join(folder, str(number)) for number in range(commands.FILES)]
        for path in files:
            with open(path, "wb") as file:
                file.write(commands.content(files.index(path)).to_bytes(8, "little"))
            os.chmod(path, 0o644)
        while done < count and len(failures) < _ENOUGH:
            problem = run_one(first + done, length, files)
            if problem:
                failures.append(first + done)
                sys.stdout.write(f"{problem}\n")
            done += 1
    seeds = f": seeds {', '.join(map(str, failures))}" if failures else ""
    sys.stdout.write(f"{done} sequences, {len(failures)} failed{seeds}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
