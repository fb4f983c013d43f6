# SPDX-License-Identifier: MIT
"""Every call of the bindings, and what the module refuses, against the real module."""

from __future__ import annotations

import errno
import os

import pytest

from lwcgi import lwc
from tests.vm.guest_tests.programs import freeze, program, refused, start, visit

MAY_RETURN = lwc.Flag.MAY_RETURN


def nothing(entered: lwc.Entered) -> None:
    """Be entered and go back."""


def test_the_door_speaks_this_contract() -> None:
    """The module's version is the one of the header, and its door opens close-on-exec."""
    with lwc.Door() as door:
        assert door.abi == 1
        assert not os.get_inheritable(door.fd)
        assert door.is_open()
    assert door.fd == -1


@program
def test_nothing_is_named_before_the_first() -> None:
    """SELF and ROOT exist from the first create on."""
    for call in (lwc.SELF.info, lwc.ROOT.info, lambda: lwc.switch(lwc.ROOT)):
        assert refused(lwc.LwcError, call).errno == errno.EBADF
    start(nothing)
    assert lwc.SELF.info().id == lwc.ROOT.info().id


@program
def test_create_returns_twice() -> None:
    """In the creator at once with a name, in the new lwC with creator, caller and words."""
    result = lwc.create(flags=MAY_RETURN)
    if isinstance(result, lwc.Entered):
        assert result.args == (1, 2, 3)
        assert result.creator
        assert result.caller
        root = lwc.ROOT.info().id
        assert result.creator.info().id == result.caller.info().id == root
        lwc.switch(result.creator, 4, 5)
    assert isinstance(result, lwc.Created)
    assert not os.get_inheritable(result.context.fd)
    back = lwc.switch(result.context, 1, 2, 3)
    assert back.args == (4, 5)
    assert back.caller
    assert back.caller.info().id == result.context.info().id


@program
def test_words_go_along() -> None:
    """None to eight words of 64 bits arrive as they were sent."""

    def echo(entered: lwc.Entered) -> None:
        assert entered.creator
        args = entered.args
        while True:
            args = lwc.switch(entered.creator, *args).args

    context = start(echo)
    for args in ((), (0,), (2**64 - 1,) * 8, tuple(range(7))):
        assert visit(context, *args) == args
    for bad, kind in (((1,) * 9, ValueError), ((2**64,), OverflowError), ((-1,), OverflowError)):
        try:
            lwc.switch(context, *bad)
        except kind:
            pass
        else:
            raise AssertionError(f"{bad} went along")


@program
def test_the_way_back_must_be_granted() -> None:
    """Without MAY_RETURN an lwC knows no creator and no caller, and may not enter its root."""
    result = lwc.create()
    if isinstance(result, lwc.Entered):
        assert (result.creator, result.caller) == (None, None)
        refused(lwc.NotGranted, lambda: lwc.switch(lwc.ROOT))
        refused(lwc.NotGranted, lambda: lwc.ROOT.grant(lwc.SELF))
        os._exit(0)
    lwc.switch(result.context)
    raise AssertionError("it came back")


@program
def test_grant_and_revoke() -> None:
    """A grant opens the way, and it can be taken back."""
    result = lwc.create()
    if isinstance(result, lwc.Entered):
        lwc.switch(lwc.ROOT)
        refused(lwc.NotGranted, lambda: lwc.switch(lwc.ROOT))
        os._exit(0)
    lwc.ROOT.grant(result.context)
    lwc.switch(result.context)
    lwc.ROOT.revoke(result.context)
    lwc.switch(result.context)
    raise AssertionError("it came back")


@program
def test_brothers_need_a_grant() -> None:
    """Two lwCs of one creator cannot enter each other, unless it lets them."""

    def to_brother(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: lwc.switch(one))
        assert entered.creator
        lwc.switch(entered.creator)
        # The brother goes back to the creator, not here.
        lwc.switch(one)
        raise AssertionError

    one = start(lambda _: 1)
    other = start(to_brother)
    visit(other)
    one.grant(other)
    assert visit(other) == (1,)


@program
def test_same_rights() -> None:
    """With SAME_RIGHTS an lwC has the way back that its creator has."""

    def middle(entered: lwc.Entered) -> None:
        def inner(_: lwc.Entered) -> None:
            lwc.switch(lwc.ROOT, 42)

        lwc.switch(start(inner, flags=lwc.Flag.SAME_RIGHTS))

    assert visit(start(middle)) == (42,)


@program
def test_refusals_of_switch() -> None:
    """Oneself, a snapshot, one that was destroyed, something else."""
    frozen = freeze(nothing)
    refused(lwc.ContextBusy, lambda: lwc.switch(lwc.SELF))
    refused(lwc.ContextBusy, lambda: lwc.switch(lwc.ROOT))
    refused(lwc.FrozenContext, lambda: lwc.switch(frozen))
    with open("/dev/null") as file:
        other = lwc.Context(file.fileno())
        assert refused(lwc.LwcError, lambda: lwc.switch(other)).errno == errno.EINVAL
    closed = lwc.Context(1023)
    assert refused(lwc.LwcError, lambda: lwc.switch(closed)).errno == errno.EBADF


@program
def test_refusals_of_clone_and_reset() -> None:
    """Only snapshots can be cloned, only workers reset, and only by their creator."""
    plain = start(nothing)
    assert refused(lwc.LwcError, lambda: lwc.clone(plain)).errno == errno.EINVAL
    assert refused(lwc.LwcError, lambda: lwc.reset(plain)).errno == errno.EINVAL
    frozen = freeze(nothing)
    worker = lwc.clone(frozen)

    def stranger(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: lwc.clone(frozen))
        refused(lwc.NotGranted, lambda: lwc.reset(worker))
        refused(lwc.NotGranted, lambda: worker.grant(lwc.SELF))
        return 1

    assert visit(start(stranger)) == (1,)
    frozen.close()
    refused(lwc.StaleContext, lambda: lwc.reset(worker))
    visit(worker)


@program
def test_to_close_is_to_destroy_for_the_creator_alone() -> None:
    """Others only forget the name; then those who still have one find it stale."""

    def holder(entered: lwc.Entered) -> int:
        assert entered.creator
        name = lwc.Context(os.dup(one.fd))
        one.close()
        lwc.switch(entered.creator)
        refused(lwc.StaleContext, name.info)
        refused(lwc.StaleContext, lambda: lwc.switch(name))
        return 1

    one = start(lambda _: 7)
    other = start(holder)
    visit(other)
    assert visit(one) == (7,)
    before = lwc.SELF.info().contexts
    one.close()
    one.close()
    assert lwc.SELF.info().contexts == before - 1
    assert visit(other) == (1,)


@program
def test_with_closes() -> None:
    """A context manager destroys what it was given."""
    with start(nothing) as context:
        name = lwc.Context(os.dup(context.fd))
        visit(context)
    refused(lwc.StaleContext, lambda: lwc.switch(name))


@program
def test_discard() -> None:
    """One that is discarded is gone: the one entered is told no caller."""
    result = lwc.create(flags=MAY_RETURN)
    if isinstance(result, lwc.Entered):
        assert result.creator
        lwc.switch(result.creator, 9, discard=True)
    back = lwc.switch(result.context)
    assert back == lwc.Switched(None, (9,))
    refused(lwc.StaleContext, lambda: lwc.switch(result.context))


@program
def test_the_root_can_be_discarded() -> None:
    """The process goes on in another, in which ROOT is stale."""
    result = lwc.create()
    if isinstance(result, lwc.Entered):
        refused(lwc.StaleContext, lambda: lwc.switch(lwc.ROOT))
        assert lwc.SELF.info().creator == 0
        assert lwc.SELF.info().contexts == 1
        os._exit(0)
    lwc.switch(result.context, discard=True)
    raise AssertionError("it came back")


@program
def test_names_give_a_forked_process_no_right() -> None:
    """A process of fork(2) has no lwCs, and the names it inherits are another's."""
    context = start(nothing)
    pid = os.fork()
    if pid == 0:
        refused(lwc.ForeignContext, lambda: lwc.switch(context))
        assert refused(lwc.LwcError, lwc.SELF.info).errno == errno.EBADF
        assert visit(start(lambda _: 3)) == (3,)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    visit(context)


@program
def test_info() -> None:
    """Ids, creators, states and counts are what was done."""
    frozen = freeze(nothing)
    worker = lwc.clone(frozen)
    one = start(nothing)
    root = lwc.SELF.info()
    state = lwc.State
    assert (root.creator, root.snapshot, root.contexts) == (0, 0, 4)
    assert root.state & ~state.ENTERED == state.RUNNING | state.ROOT
    assert frozen.info().state == state.SNAPSHOT
    assert worker.info().state == state.WORKER
    assert (worker.info().snapshot, worker.info().creator) == (frozen.info().id, root.id)
    assert one.info().state == state(0)
    visit(worker)
    assert worker.info().state == state.WORKER | state.ENTERED
    assert root.switches + 2 == worker.info().switches
    assert one.info().creator == root.id
    assert len({context.info().id for context in (lwc.ROOT, frozen, worker, one)}) == 4


@program
def test_wrong_specifications() -> None:
    """Empty, crooked, overlapping and impossible ones are refused; nothing has happened."""
    share, copy = lwc.Action.SHARE, lwc.Action.COPY
    wrong = (
        [lwc.Spec.memory(0x10000, 0x10000, copy)],
        [lwc.Spec.memory(0x10001, 0x20000, copy)],
        [lwc.Spec.files(3, 9, copy), lwc.Spec.files(8, 10, copy)],
        [lwc.Spec.files(0, 9, share)],
        [lwc.Spec.credentials(lwc.Action.UNMAP)],
        [lwc.Spec.files(number, number + 1, copy) for number in range(65)],
    )
    for specs in wrong:
        error = refused(lwc.LwcError, lambda specs=specs: lwc.create(specs=specs))
        assert error.errno == errno.EINVAL, specs
    assert refused(lwc.LwcError, lambda: lwc.create(flags=lwc.Flag(1 << 20))).errno == errno.EINVAL
    assert refused(lwc.LwcError, lwc.SELF.info).errno == errno.EBADF


@program
def test_threads_are_not_taken_along() -> None:
    """The flag for C is refused with the reason, before the call."""
    with pytest.raises(ValueError, match="fork hooks"):
        lwc.create(flags=lwc.Flag(1 << 5))
    assert refused(lwc.LwcError, lwc.SELF.info).errno == errno.EBADF


@program
def test_shared_descriptors() -> None:
    """In a shared table each sees what the other opens and closes."""

    def body(entered: lwc.Entered) -> int:
        os.close(first)
        return os.open("/dev/zero", os.O_RDONLY)

    first = os.open("/dev/null", os.O_RDONLY)
    all_files = lwc.Spec.files(0, lwc.ALL, lwc.Action.SHARE)
    [opened] = visit(start(body, specs=[all_files]))
    assert os.read(opened, 2) == b"\0\0"
    if opened != first:  # where it is, its number was free
        with pytest.raises(OSError):
            os.fstat(first)


@program
def test_the_door_is_opened_again() -> None:
    """Where all descriptors were left out, the next call opens the device anew."""

    def body(entered: lwc.Entered) -> int:
        assert not door.is_open()
        return int(lwc.SELF.info().contexts)

    door = lwc.current_door()
    nothing_open = lwc.Spec.files(0, lwc.ALL, lwc.Action.UNMAP)
    assert visit(start(body, specs=[nothing_open])) == (2,)
    assert door.is_open()


@program
def test_credentials() -> None:
    """A copy is the lwC's own; shared, a change by one is a change for the other."""

    def body(entered: lwc.Entered) -> int:
        os.seteuid(1000)
        return os.geteuid()

    assert visit(start(body)) == (1000,)
    assert os.geteuid() == 0
    shared = lwc.Spec.credentials(lwc.Action.SHARE)
    assert visit(start(body, specs=[shared])) == (1000,)
    assert os.geteuid() == 1000
