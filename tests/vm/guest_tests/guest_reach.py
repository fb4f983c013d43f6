# SPDX-License-Identifier: MIT
"""Reaching into other lwCs, and names that allow less."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import tempfile
from pathlib import Path

import pytest

from lwcgi import lwc
from tests.vm.guest_tests.programs import freeze, program, refused, start, visit

COPY, SHARE, UNMAP = lwc.Action
MEMORY, FILES, CREDENTIALS = lwc.Kind
FAR = 200  # a descriptor that nobody else uses


def nothing(entered: lwc.Entered) -> None:
    """Be entered and go back."""


def file_of(text: bytes) -> int:
    """Return a descriptor of a file with that content."""
    fd = os.memfd_create("test")
    os.write(fd, text)
    return fd


def private_page() -> mmap.mmap:
    """Return a page that an lwC gets as a copy."""
    return mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def opens_far(entered: lwc.Entered) -> None:
    """Have a file at FAR that the creator has not."""
    os.dup2(file_of(b"of the child"), FAR)


@program
def test_a_system_call_on_descriptors_of_another() -> None:
    """It reads and writes files that only the other has open, with buffers of the caller."""
    child = start(opens_far)
    visit(child)
    with pytest.raises(OSError):
        os.fstat(FAR)
    buffer = bytearray(6)
    assert lwc.syscall(child, "pread64", FAR, buffer, len(buffer), 3, kinds=[FILES]) == 6
    assert buffer == b"the ch"
    assert lwc.syscall(child, "pwrite64", FAR, b"BY", 2, 0, kinds=[FILES]) == 2
    opened = lwc.syscall(child, "openat", -100, "/dev/zero", os.O_RDONLY, kinds=[FILES])
    assert lwc.syscall(child, 0, opened, buffer, 6, kinds=[FILES]) == 6
    assert bytes(buffer) == bytes(6)
    with pytest.raises(OSError):
        os.fstat(opened)


@program
def test_a_system_call_with_credentials_of_another() -> None:
    """It may what the other may."""

    def unprivileged(entered: lwc.Entered) -> None:
        os.setresuid(1000, 1000, 0)

    child = start(unprivileged)
    visit(child)
    secret = Path(tempfile.mkdtemp()) / "secret"
    secret.touch(mode=0o600)
    secret.parent.chmod(0o755)
    assert lwc.syscall(child, "geteuid", kinds=[CREDENTIALS]) == 1000
    assert lwc.syscall(child, "geteuid", kinds=[FILES]) == os.geteuid() == 0
    with pytest.raises(PermissionError, match="open for another lwC"):
        lwc.syscall(child, "open", secret, os.O_RDONLY, kinds=[CREDENTIALS])
    assert lwc.syscall(child, "open", secret, os.O_RDONLY, kinds=[FILES]) > 2


@program
def test_a_system_call_in_the_memory_of_another() -> None:
    """Addresses are those of the other, and what is mapped is mapped there."""
    page = private_page()
    address = lwc.Spec.mapping(page, COPY).start
    child = start(lambda _: page[0])
    file = os.memfd_create("test")
    os.write(file, b"\x2a")
    assert lwc.syscall(child, "pread64", file, address, 1, 0, kinds=[MEMORY]) == 1
    assert (page[0], visit(child)) == (0, (0x2A,))
    length = mmap.PAGESIZE
    wanted = (0, length, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    there = lwc.syscall(child, "mmap", *wanted, kinds=[MEMORY])
    assert there % length == 0
    assert f"{there:x}-" not in Path("/proc/self/maps").read_text()
    assert lwc.syscall(child, "munmap", there, length, kinds=[MEMORY]) == 0


@program
def test_refusals_of_a_system_call() -> None:
    """A failure of the call, a call that is not made, a target that cannot be."""
    child = start(nothing)
    with pytest.raises(OSError, match="read for another lwC") as caught:
        lwc.syscall(child, "read", FAR, bytearray(1), 1, kinds=[FILES])
    assert caught.value.errno == errno.EBADF
    assert not isinstance(caught.value, lwc.LwcError)
    for call in ("ioctl", "fork", "setuid", "futex", 511):
        refused(lwc.NotInModule, lambda call=call: lwc.syscall(child, call, kinds=[FILES]))
    refused(lwc.ContextBusy, lambda: lwc.syscall(lwc.SELF, "getpid", kinds=[FILES]))
    frozen = freeze(nothing)
    refused(lwc.FrozenContext, lambda: lwc.syscall(frozen, "getpid", kinds=[FILES]))
    name = lwc.Context(os.dup(child.fd))
    child.close()
    refused(lwc.StaleContext, lambda: lwc.syscall(name, "getpid", kinds=[FILES]))


@program
def test_signals_during_a_system_call() -> None:
    """A handler of Python runs when it comes, and the call is made again."""
    reading, writing = os.pipe()

    def body(entered: lwc.Entered) -> None:
        os.dup2(reading, FAR)

    def handle(*_: object) -> None:
        os.write(writing, b"x")

    child = start(body)
    visit(child)
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    buffer = bytearray(1)
    assert lwc.syscall(child, "read", FAR, buffer, 1, kinds=[FILES]) == 1
    assert buffer == b"x"


@program
def test_a_narrow_name() -> None:
    """Less can be reached through it; the wider one stays; narrowing is for all copies."""
    child = start(opens_far)
    visit(child)
    narrow = child.restricted([lwc.Spec.files(0, lwc.ALL, COPY)])
    assert not os.get_inheritable(narrow.fd)
    refused(lwc.NotGranted, lambda: lwc.syscall(narrow, "lseek", FAR, 0, 0, kinds=[FILES]))
    assert lwc.syscall(child, "lseek", FAR, 0, 0, kinds=[FILES]) == 0
    wider = [lwc.Spec.files(0, lwc.ALL, SHARE)]
    refused(lwc.NotGranted, lambda: narrow.restrict(wider))
    copy = lwc.Context(os.dup(child.fd))
    child.restrict([lwc.Spec.credentials(SHARE)])
    refused(lwc.NotGranted, lambda: lwc.syscall(copy, "lseek", FAR, 0, 0, kinds=[FILES]))
    assert lwc.syscall(copy, "getuid", kinds=[CREDENTIALS]) == 0
    for name in (lwc.SELF, lwc.ROOT):
        assert refused(lwc.LwcError, lambda name=name: name.restrict([])).errno == errno.EINVAL
    unmap = [lwc.Spec.files(0, 1, UNMAP)]
    assert refused(lwc.LwcError, lambda: narrow.restrict(unmap)).errno == errno.EINVAL


@program
def test_a_child_reaches_its_creator() -> None:
    """Only with may_access, through the name it was given, what was said."""
    os.dup2(file_of(b"of the root"), FAR)

    def body(entered: lwc.Entered) -> int:
        assert entered.creator
        creator = entered.creator
        return lwc.syscall(creator, "lseek", FAR, 4, os.SEEK_SET, kinds=[FILES])

    def denied(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: body(entered))
        refused(lwc.NotGranted, lambda: lwc.syscall(lwc.ROOT, "getpid", kinds=[CREDENTIALS]))
        return 1

    lower = lwc.Spec.files(0, lwc.ALL, UNMAP, may_access=True)
    assert visit(start(body, specs=[lower])) == (4,)
    assert visit(start(denied)) == (1,)
    credentials = lwc.Spec.credentials(COPY, may_access=True)
    assert visit(start(denied, specs=[credentials])) == (1,)


@program
def test_a_granted_reach() -> None:
    """A brother reaches where Right.ACCESS was granted, through a name whose mask allows it."""

    def body(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: lwc.switch(elder))
        return lwc.syscall(elder, "lseek", FAR, 2, os.SEEK_SET, kinds=[FILES])

    def denied(entered: lwc.Entered) -> int:
        refused(lwc.NotGranted, lambda: body(entered))
        return 1

    elder = start(opens_far)
    visit(elder)
    younger, other = start(body), start(denied)
    elder.grant(younger, lwc.Right.ACCESS)
    assert visit(younger) == (2,)
    assert visit(other) == (1,)


@program
def test_an_overlay_of_memory() -> None:
    """A copy shows what was there; shared, both see each write; SELF unmaps it again."""
    page, other = private_page(), private_page()

    def body(entered: lwc.Entered) -> int:
        page[0], before = 7, page[0]
        return before

    child = start(body)
    visit(child)
    lwc.overlay(child, [lwc.Spec.mapping(page, COPY)])
    assert page[0] == 7
    page[0] = 8
    assert visit(child) == (0,)
    assert page[0] == 8
    second = start(lambda _: other[0])
    lwc.overlay(second, [lwc.Spec.mapping(other, SHARE)])
    other[0] = 9
    assert visit(second) == (9,)
    where = lwc.Spec.mapping(other, UNMAP)
    lwc.overlay(lwc.SELF, [where])
    assert f"{where.start:x}-" not in Path("/proc/self/maps").read_text()


@program
def test_an_overlay_of_descriptors() -> None:
    """What the other has open at these numbers is open here, and what it has not is closed."""
    child = start(opens_far)
    visit(child)
    os.dup2(os.open("/dev/null", os.O_RDONLY), FAR + 1)
    lwc.overlay(child, [lwc.Spec.files(FAR, FAR + 2, COPY)])
    assert os.pread(FAR, 20, 0) == b"of the child"
    with pytest.raises(OSError):
        os.fstat(FAR + 1)
    lwc.overlay(lwc.SELF, [lwc.Spec.files(FAR, FAR + 1, UNMAP)])
    with pytest.raises(OSError):
        os.fstat(FAR)


@program
def test_an_overlay_of_credentials() -> None:
    """This lwC is the other's user until it puts its own back."""

    def body(entered: lwc.Entered) -> None:
        os.setresuid(1000, 1000, 1000)

    child = start(body)
    visit(child)
    lwc.overlay(child, [lwc.Spec.credentials(COPY)])
    assert os.getresuid() == (1000, 1000, 1000)
    lwc.overlay(lwc.SELF, [lwc.Spec.credentials(COPY)])
    assert os.getresuid() == (0, 0, 0)


@program
def test_refusals_of_an_overlay() -> None:
    """Actions that mean nothing, a snapshot that would change, a right that is missing."""
    page = private_page()
    child, frozen = start(nothing), freeze(nothing)
    wrong = [(child, UNMAP), (lwc.SELF, COPY), (lwc.SELF, SHARE)]
    for source, action in wrong:
        specs = [lwc.Spec.mapping(page, action)]
        error = refused(lwc.LwcError, lambda s=source, specs=specs: lwc.overlay(s, specs))
        assert error.errno == errno.EINVAL
    share = [lwc.Spec.mapping(page, SHARE)]
    refused(lwc.FrozenContext, lambda: lwc.overlay(frozen, share))
    child.restrict([lwc.Spec.mapping(page, COPY)])
    refused(lwc.NotGranted, lambda: lwc.overlay(child, share))
    lwc.overlay(child, [lwc.Spec.mapping(page, COPY)])
