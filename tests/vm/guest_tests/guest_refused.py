# SPDX-License-Identifier: MIT
"""System calls that are refused to an lwC, and what its creator makes of them."""

from __future__ import annotations

import errno
import os

from lwcgi import lwc
from tests.vm.guest_tests.programs import program, refused, start, visit

MEMORY, FILES, _ = lwc.Kind
TRAP = lwc.Flag.MAY_RETURN | lwc.Flag.TRAP_SYSCALLS


def nothing(entered: lwc.Entered) -> None:
    """Be entered and go back."""


@program
def test_a_refused_call_is_answered() -> None:
    """The creator sees which it was, and says what it returns: a result, or an error."""

    def body(entered: lwc.Entered) -> int:
        try:
            os.open("/etc/passwd", os.O_RDONLY)
        except FileNotFoundError:
            return 100 + os.open("/etc/passwd", os.O_RDONLY)
        return 0

    child = start(body, flags=TRAP)
    child.refuse(["openat"])
    came = lwc.switch(child)
    assert came.args == ()
    assert came.trapped
    assert (came.trapped.name, came.trapped.number, came.trapped.compat) == ("openat", 257, False)
    assert came.trapped.args[0] % 2**32 == 2**32 - 100
    path = bytearray(12)
    memory = os.memfd_create("path")
    address = came.trapped.args[1]
    assert came.caller
    assert lwc.syscall(came.caller, "pwrite64", memory, address, 12, 0, kinds=[MEMORY]) == 12
    assert os.preadv(memory, [path], 0) == 12
    assert path == b"/etc/passwd\0"
    again = lwc.reply(came.caller, errno=errno.ENOENT)
    assert again.trapped
    assert again.caller
    assert lwc.reply(again.caller, result=42).args == (142,)


@program
def test_a_refused_call_is_let_through() -> None:
    """Made once more, it runs where it is not refused any longer, and is refused where it is."""
    child = start(lambda _: os.getppid(), flags=TRAP)
    child.refuse(["getppid"])
    came = lwc.switch(child)
    assert came.caller
    came = lwc.retry(came.caller)
    assert came.trapped
    assert came.trapped.name == "getppid"
    assert came.caller
    child.refuse([])
    assert lwc.retry(came.caller).args == (os.getppid(),)


@program
def test_a_refused_call_is_let_through_once() -> None:
    """It runs as it was, and the next one like it is refused again."""
    child = start(lambda _: os.getppid() + os.getppid(), flags=TRAP)
    child.refuse(["getppid"])
    came = lwc.switch(child)
    assert came.caller
    again = lwc.permit(came.caller)
    assert again.trapped
    assert again.caller
    assert lwc.reply(again.caller, result=1).args == (os.getppid() + 1,)


@program
def test_only_some_calls_are_allowed() -> None:
    """Each call but these comes to the creator, from the first instruction on."""
    seen = []

    def body(entered: lwc.Entered) -> int:
        return os.getppid() + os.getpgid(0)

    child = start(body, flags=TRAP)
    child.allow_only([])
    came = lwc.switch(child)
    while came.trapped:
        seen.append(came.trapped.name)
        assert came.caller
        if came.trapped.name in ("getppid", "getpgid"):
            came = lwc.reply(came.caller, result=20)
            continue
        # As itself: what an interpreter calls for its own needs.
        child.refuse([] if came.trapped.name == "ioctl" else ["getppid", "getpgid", "ioctl"])
        came = lwc.retry(came.caller)
    assert came.args == (40,)
    assert {"getppid", "getpgid", "ioctl"} <= {*seen}
    assert seen[0] not in ("getppid", "getpgid")


@program
def test_refusals_of_traps() -> None:
    """One without the flag has none, and only its creator says what is refused."""
    plain = start(nothing)
    assert refused(lwc.LwcError, lambda: plain.refuse(["read"])).errno == errno.EINVAL

    def body(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: lwc.SELF.refuse([]))
        refused(lwc.NotGranted, lambda: brother.refuse([]))
        return 1

    brother = start(nothing, flags=TRAP)
    child = start(body, flags=TRAP)
    child.refuse([])
    assert visit(child) == (1,)


@program
def test_what_is_refused_is_refused_for_others_too() -> None:
    """An lwC makes no call by another that it may not make itself."""

    def body(entered: lwc.Entered) -> int:
        assert entered.creator
        creator = entered.creator
        refused(lwc.NotGranted, lambda: lwc.syscall(creator, "fsync", 1, kinds=[FILES]))
        return 1

    lower = lwc.Spec.files(0, lwc.ALL, lwc.Action.UNMAP, may_access=True)
    child = start(body, flags=TRAP, specs=[lower])
    child.refuse(["fsync"])
    assert visit(child) == (1,)


@program
def test_a_worker_entered_by_a_refused_call() -> None:
    """One that was reset finds the call of what it had created at its first entry."""

    def inside(_: lwc.Entered) -> None:
        lwc.switch(lwc.ROOT)
        os.getppid()

    result = lwc.snapshot(flags=lwc.Flag.MAY_RETURN)
    if isinstance(result, lwc.Entered):
        assert result.creator
        if result.trapped:
            lwc.switch(result.creator, result.trapped.number)
        child = start(inside, flags=lwc.Flag.SAME_RIGHTS | TRAP)
        child.refuse(["getppid"])
        child.grant(lwc.ROOT)
        lwc.switch(child)
        raise AssertionError("it came back")
    worker = lwc.clone(result)
    came = lwc.switch(worker)
    assert came.args == ()
    lwc.reset(worker)
    assert came.caller
    assert lwc.switch(came.caller).args == (110,)
