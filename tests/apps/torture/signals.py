# SPDX-License-Identifier: MIT
"""Acts on signals: handlers, masks, timers, alternate stacks."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import time

from tests.apps import machine, mess
from tests.apps.torture.scene import LIBC, Refused, Scene, act

_SAFE = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGALRM, signal.SIGWINCH,
         signal.SIGIO, signal.SIGTERM, signal.SIGCHLD)  # fmt: skip
_PATIENCE = 20.0  # far more than a signal takes; a request that waits so long has failed
_STACK = ctypes.create_string_buffer(1 << 16)


class Interrupted(Exception):
    """Raised by a handler."""


def _blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def _wait_for(seen: list[int]) -> None:
    end = time.monotonic() + _PATIENCE
    while not seen:
        assert time.monotonic() < end, "a signal never came"
        time.sleep(0.0005)


@act("masking")
def handle(scene: Scene, a: int, b: int) -> None:
    """Install a Python handler, send the signal, and see it handled."""
    number, seen = _SAFE[a % len(_SAFE)], []
    signal.signal(number, lambda n, _: seen.append(n))
    if number in _blocked():
        raise Refused("blocked")
    if b % 2:
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)
    _wait_for(seen)
    if b % 3 == 0:
        signal.signal(number, signal.SIG_DFL)


@act("masking")
def ignore(scene: Scene, a: int, b: int) -> None:
    """Ignore a signal, send it."""
    number = _SAFE[a % len(_SAFE)]
    signal.signal(number, signal.SIG_IGN)
    os.kill(os.getpid(), number)


@act("masking")
def block(scene: Scene, a: int, b: int) -> None:
    """Block signals, all or some, and leave one pending."""
    number = _SAFE[a % len(_SAFE)]
    wanted = signal.valid_signals() if b % 2 else {number}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    assert number in _blocked()
    if b % 3 == 0:
        # To this thread: another that is only starting may not block it yet.
        signal.raise_signal(number)
        assert number in signal.sigpending() or signal.getsignal(number) != signal.SIG_DFL


@act("masking")
def wait_for_signal(scene: Scene, a: int, b: int) -> None:
    """sigwait(3) and sigtimedwait(2) of a blocked signal."""
    if not scene.alone:
        raise Refused("another thread might take it")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    if a % 2:
        assert signal.sigwait({signal.SIGUSR2}) == signal.SIGUSR2
    else:
        found = signal.sigtimedwait({signal.SIGUSR2}, _PATIENCE)
        assert found is not None
        assert found.si_pid == os.getpid()


@act("masking")
def interrupt_sleep(scene: Scene, a: int, b: int) -> None:
    """A timer ends a long sleep, read or poll by a handler that raises."""
    if signal.SIGALRM in _blocked() or not scene.alone:
        raise Refused("it might not come here")

    over: list[bool] = []

    def handler(_number: int, _frame: object) -> None:
        if not over:
            raise Interrupted

    signal.setitimer(signal.ITIMER_REAL, 0)  # of an act before
    signal.signal(signal.SIGALRM, handler)
    reader, writer = os.pipe()
    scene.descriptors += [reader, writer]
    began = time.monotonic()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            (lambda: time.sleep(_PATIENCE), lambda: os.read(reader, 1), signal.pause)[a % 3]()
            assert a % 3 == 2, "a long sleep was over too early"
        finally:
            over.append(True)
    except Interrupted:  # on a slow machine only after the sleep, in the lines that end it
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert time.monotonic() - began < _PATIENCE


@act("masking")
def alarm(scene: Scene, a: int, b: int) -> None:
    """A timer that rings while the request goes on, and is handled."""
    if signal.SIGALRM in _blocked():
        raise Refused("blocked")
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda n, _: seen.append(n))
    signal.setitimer(signal.ITIMER_REAL, 0.0005 * (a + 1), 0.001 if b % 2 else 0)
    _wait_for(seen)


@act("masking")
def alarm_at_the_end(scene: Scene, a: int, b: int) -> None:
    """A timer that rings about when the request ends; its handler does no harm."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0001 * (a + 1), 0.0002 if b % 2 else 0)


@act("doubtful")
def alarm_that_kills(scene: Scene, a: int, b: int) -> None:
    """A timer that kills, about when the request ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.0001 * (a + 1))


@act("masking")
def timers(scene: Scene, a: int, b: int) -> None:
    """Interval and POSIX timers, far in the future."""
    mess.ACTS["set_timers"]()


@act("masking")
def alternate_stack(scene: Scene, a: int, b: int) -> None:
    """An alternate stack for signals, or none."""
    machine.set_alternate_stack(_STACK)
    if a % 2:
        off = (ctypes.c_ulong * 3)(0, 2, 0)
        machine.check(LIBC.sigaltstack(off, None))


@act("masking")
def fault_handler(scene: Scene, a: int, b: int) -> None:
    """faulthandler: off, on again, on a signal."""
    if a % 3 == 0:
        faulthandler.disable()
    elif a % 3 == 1:
        faulthandler.enable()
    else:
        faulthandler.register(signal.SIGUSR1, chain=False)
        if signal.SIGUSR1 not in _blocked():
            os.kill(os.getpid(), signal.SIGUSR1)


@act("masking")
def wake_up(scene: Scene, a: int, b: int) -> None:
    """set_wakeup_fd and siginterrupt."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    scene.descriptors += [reader, writer]
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.siginterrupt(signal.SIGUSR2, bool(a % 2))


@act("masking")
def system_call_signal(scene: Scene, a: int, b: int) -> None:
    """Handle, ignore or block SIGSYS, and go on making system calls."""
    if a % 3 == 0:
        signal.signal(signal.SIGSYS, lambda _number, _frame: None)
    elif a % 3 == 1:
        signal.signal(signal.SIGSYS, signal.SIG_IGN)
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSYS})
    os.getcwd()


@act("doubtful")
def raise_system_call_signal(scene: Scene, a: int, b: int) -> None:
    """Send SIGSYS to oneself."""
    if b % 2:
        signal.signal(signal.SIGSYS, lambda _number, _frame: None)
    signal.raise_signal(signal.SIGSYS)


@act("masking")
def change_signals(scene: Scene, a: int, b: int) -> None:
    """Handlers, mask, pending signals, the alternate stack."""
    if not scene.alone:
        raise Refused("another thread might take SIGUSR2")
    mess.ACTS["change_signals"]()
