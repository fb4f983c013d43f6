# SPDX-License-Identifier: MIT
"""What only a kernel can show: users, threads, signals, limits, states that cannot be copied."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from lwcgi import lwc
from tests.vm.guest_tests.programs import freeze, program, refused, start, visit

_SYS_IO_URING_SETUP = 425
_SYS_MSEAL = 462

_libc = ctypes.CDLL(None, use_errno=True)


def _is_missing(call: int) -> bool:
    """Tell whether the kernel does not know a system call; no argument is valid."""
    return bool(_libc.syscall(call, *[ctypes.c_long(-1)] * 6) < 0) and (
        ctypes.get_errno() == errno.ENOSYS
    )


def nothing(entered: lwc.Entered) -> None:
    """Be entered and go back."""


@program
def test_no_descriptor_is_left() -> None:
    """At the limit of open files a create is refused, and works again below it."""
    start(nothing)
    most = os.open("/dev/null", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1, 4096))
    error = refused(lwc.LwcError, lambda: lwc.create(flags=lwc.Flag.MAY_RETURN))
    assert error.errno == errno.EMFILE
    assert lwc.SELF.info().contexts == 2
    os.close(most)
    visit(start(nothing))


@pytest.mark.skipif(_is_missing(_SYS_IO_URING_SETUP), reason="io_uring")
@program
def test_io_uring_cannot_be_carried_over() -> None:
    """A thread that uses io_uring is refused by name, and nothing has happened."""
    parameters = ctypes.create_string_buffer(120)
    fd = _libc.syscall(_SYS_IO_URING_SETUP, 1, parameters)
    if fd < 0:
        assert ctypes.get_errno() in (errno.ENOSYS, errno.EPERM)  # not in this kernel
        return
    refused(lwc.NotSupported, lambda: lwc.create(flags=lwc.Flag.MAY_RETURN))


@pytest.mark.skipif(_is_missing(_SYS_MSEAL), reason="mseal")
@program
def test_a_sealed_mapping_cannot_be_undone() -> None:
    """A worker that seals memory (mseal(2), Linux 6.10) can only be destroyed."""
    mapping = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))

    def body(entered: lwc.Entered) -> int:
        _libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE))
        fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10
        _libc.mmap.restype = ctypes.c_void_p
        _libc.mmap(
            *(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 1, fixed, -1),
            ctypes.c_long(0),
        )
        done = _libc.syscall(
            _SYS_MSEAL, ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), ctypes.c_long(0)
        )
        return ctypes.get_errno() if done else 0

    worker = lwc.clone(freeze(body))
    [answer] = visit(worker)
    if answer:
        assert answer == errno.ENOSYS
        return
    refused(lwc.NotRecoverable, lambda: lwc.reset(worker))
    refused(lwc.NotRecoverable, lambda: lwc.reset(worker))
    worker.close()


@program
def _fill_up() -> None:
    contexts = [start(nothing) for _ in range(3)]
    error = refused(lwc.LimitReached, lambda: lwc.create(flags=lwc.Flag.MAY_RETURN))
    assert error.errno == errno.ENOSPC
    contexts.pop().close()
    visit(start(nothing))


def test_the_number_of_lwcs_is_limited() -> None:
    """At max_contexts, here 4, a create is refused; one less, and it works again."""
    parameter = Path("/sys/module/lwc/parameters/max_contexts")
    before = parameter.read_text()
    parameter.write_text("4")
    try:
        _fill_up()
    finally:
        parameter.write_text(before)


@program
def _grow() -> None:
    start(nothing)
    Path("/sys/module/lwc/parameters/max_bytes").write_text("4096")
    error = refused(lwc.LimitReached, lambda: lwc.create(flags=lwc.Flag.MAY_RETURN))
    assert error.errno == errno.EDQUOT


def test_their_address_spaces_are_limited() -> None:
    """Beyond max_bytes a create is refused."""
    parameter = Path("/sys/module/lwc/parameters/max_bytes")
    before = parameter.read_text()
    try:
        _grow()
    finally:
        parameter.write_text(before)


@program
def test_a_user_may_be_kept_from_the_door() -> None:
    """Without the right to open the device, the error says what to do."""
    os.seteuid(1000)
    error = refused(lwc.LwcUnavailable, lwc.Door)
    assert error.errno == errno.EACCES
    assert "group" in str(error)


@program
def test_another_thread_has_its_own() -> None:
    """What one thread has made is foreign to the others; each can have a group."""
    context = start(nothing)
    errors: list[object] = []

    def other() -> None:
        for call in (context.info, lwc.SELF.info):
            try:
                call()
            except lwc.LwcError as error:
                errors.append(error.errno)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert errors == [errno.EPERM, errno.EBADF]
    visit(context)


@program
def test_signals_wait_for_an_lwc_that_takes_them() -> None:
    """Without SHARE_SIGNALS they are blocked in a new lwC, and reach its creator."""
    handled: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: handled.append(1))

    def body(entered: lwc.Entered) -> int:
        os.kill(os.getpid(), signal.SIGUSR1)
        return len(handled) + int(signal.SIGUSR1 in signal.sigpending())

    assert visit(start(body)) == (1,)
    assert handled == [1]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


@program
def test_what_stays_with_the_thread() -> None:
    """Working directory and umask are not of an lwC: whoever changes them puts them back."""

    def request(entered: lwc.Entered) -> int:
        os.chdir("/tmp")
        return os.umask(entered.args[0])

    os.chdir("/")
    os.umask(0o022)
    worker = lwc.clone(freeze(request))
    assert visit(worker, 0o077) == (0o022,)
    assert os.getcwd() == "/tmp"
    lwc.reset(worker)
    assert os.getcwd() == "/tmp"
    assert visit(worker, 0o022) == (0o077,)


@program
def test_counts_of_a_reset() -> None:
    """Pages that a worker has once written are its own, and copied back in every reset."""
    size = 256 * mmap.PAGESIZE
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    ctypes.memset(address, 1, size)

    def request(entered: lwc.Entered) -> None:
        if entered.args[0]:
            ctypes.memset(address, 2, size)

    worker = lwc.clone(freeze(request))
    visit(worker, 0)
    first = lwc.reset(worker)
    visit(worker, 1)
    many = lwc.reset(worker)
    assert many.pages_private >= first.pages_private + 256
    visit(worker, 0)
    again = lwc.reset(worker)
    assert again.pages_copied >= 256
    assert again.pages_private >= many.pages_private
    assert worker.info().pages_private == again.pages_private
    block.seek(0)
    assert block.read() == b"\1" * size
