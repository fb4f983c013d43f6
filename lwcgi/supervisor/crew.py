# SPDX-License-Identifier: MIT
"""The workers of a snapshot process: forked from its frozen state, watched and replaced.

Nothing here installs a signal handler: a worker must see signals as the application left
them. Deaths arrive through pidfds, orders and the master's death through the control socket.
"""

from __future__ import annotations

import gc
import itertools
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable

from .._core import EXIT_REPLACE
from ..errors import BY_EXIT_CODE, ApplicationError, EngineError, GateError, LwcgiError
from . import processes, wire
from .ending import QUICK_SECONDS, Ending
from .slot import Slot

# A zombie nobody announced (an orphan of a worker) is collected after this long.
_TICK_SECONDS = 1.0
# The next look at what the dead may have left.
_GLANCE_SECONDS = 0.01
_TRIES_AT_START = 3
_HOPELESS = (ApplicationError.exit_code, GateError.exit_code, EngineError.exit_code)
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class Crew:
    """The workers.

    Parameters:
        count: how many there are at first.
        serve: runs in a new worker with its number, the descriptor it announces itself on,
            and a function to call once it serves; returns the worker's exit code.
        log: takes level and text.
        control: descriptor of the control socket.
        graceful_timeout: seconds the workers get to end their requests in a graceful stop.
        detached_may_stay: what a request has left in a session of its own outlives its worker.
    """

    def __init__(
        self,
        count: int,
        serve: Callable[[int, int, Callable[[], None]], int],
        log: Callable[[str, str], None],
        control: int,
        graceful_timeout: float,
        detached_may_stay: bool = True,
    ) -> None:
        self._serve = serve
        self._log = log
        self._control = control
        self._graceful_timeout = graceful_timeout
        self._slots: list[Slot] = []
        self._leaving: list[Ending] = []
        # Helpers that the application started while it was loaded stay.
        self._orphans_in = os.getsid(0) if detached_may_stay else None
        kept = (*processes.members(os.getsid(0)), *processes.children(None))
        self._kept = {process.pid for process in kept}
        self._owner = os.getpid()
        self._chasing = False
        self._complete = False
        self._failures = 0
        self._failure: LwcgiError | None = None
        self._end: Ending | None = None  # of all of them
        self._resize(count)

    def run(self) -> None:
        """Serve until told to stop, or until the master is gone.

        Raises:
            LwcgiError: the workers cannot start.
        """
        self._tell(wire.frozen())
        try:
            while self._end is None or not self._end.over:
                self._fork_due()
                self._wait()
                self._step()
        finally:
            self._kill_everything()
        if self._failure:
            raise self._failure

    def _fork_due(self) -> None:
        for slot in self._slots:
            if self._end is None and not slot.pid and slot.due <= time.monotonic():
                self._fork(slot)

    def _fork(self, slot: Slot) -> None:
        slot.started, slot.ready = time.monotonic(), False
        ready, announce = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            with warnings.catch_warnings():
                # Python 3.12 warns of native threads such as those of BLAS, which restart.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except Exception as error:  # noqa: BLE001 - hooks of the application run at fork
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(ready)
            os.close(announce)
            self._died(slot, f"could not be forked ({error})", 0)
            return
        if pid == 0:
            try:
                os.close(ready)
                self._be_worker(slot.number, announce, mask)
            finally:
                # An interrupt may cut the inner end short; nothing gets past this one.
                os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(announce)
        slot.pid, slot.ready_fd = pid, ready
        slot.pidfd = os.pidfd_open(pid)

    def _be_worker(self, number: int, announce: int, mask: set[int]) -> None:
        """Serve as worker *number*; ends the process."""
        code = 1
        try:
            os.close(self._control)
            for slot in self._slots:
                for fd in (slot.pidfd, slot.ready_fd):
                    if fd >= 0:
                        os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

            def ready() -> None:
                # From here on the core watches over us; before that, nobody did.
                if os.getppid() != self._owner:
                    os._exit(0)
                os.write(announce, b"1")
                os.close(announce)

            code = self._serve(number, announce, ready)
        except SystemExit as request:
            code = request.code if isinstance(request.code, int) else 1
        except LwcgiError as error:
            code = error.exit_code
            for text in filter(None, (error.cause, error.remedy)):
                self._log("error", f"worker {number}: {text}")
        except KeyboardInterrupt:
            code = 0  # told to stop before the core took over
        except BaseException:  # noqa: BLE001 - nothing may return into the parent's loop
            traceback.print_exc()
        finally:
            os._exit(code)

    def _wait(self) -> None:
        """Sleep until something happened or is due, and take it in."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        for slot in self._slots:
            for fd in (slot.pidfd, slot.ready_fd):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
        events = dict(poll.poll(self._patience() * 1000.0))
        if self._control in events:
            self._obey()
        for slot in self._slots:
            if slot.ready_fd in events:
                self._heard(slot)
        self._reap()

    def _patience(self) -> float:
        """Return the seconds until something is due."""
        due = [slot.due for slot in self._slots if not slot.pid] if self._end is None else []
        due += [moment for ending in self._endings() if (moment := ending.due()) is not None]
        now = time.monotonic()
        tick = _GLANCE_SECONDS if self._chasing else _TICK_SECONDS
        return max(0.0, min([tick, *(moment - now for moment in due)]))

    def _obey(self) -> None:
        try:
            datagram = os.read(self._control, wire.LARGEST_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            datagram = b""
        if not datagram:
            self._stop(quick=True)  # the master is gone
        else:
            message = wire.unpack_message(datagram)
            workers = message.get("workers")
            if message.get("command") == "stop":
                self._stop(quick=bool(message.get("quick")))
            elif message.get("command") == "resize" and isinstance(workers, int):
                self._resize(workers)

    def _heard(self, slot: Slot) -> None:
        slot.ready = bool(os.read(slot.ready_fd, 1))
        os.close(slot.ready_fd)
        slot.ready_fd = -1
        if slot.ready:
            self._failures = 0
        self._tell_when_complete()

    def _tell_when_complete(self) -> None:
        staying = [slot for slot in self._slots if not slot.leaving]
        if not self._complete and all(slot.ready for slot in staying):
            self._complete = True
            self._tell(wire.ready([slot.pid for slot in staying]))

    def _tell(self, message: bytes) -> None:
        try:
            os.write(self._control, message)
        except OSError:
            pass  # the master is gone; reading the socket will say so

    def _reap(self) -> None:
        self._chasing = False
        processes.reap(self._note_death)
        if self._chasing:
            # The number of one that ended elsewhere may be a request's by now.
            self._kept = set(filter(processes.look_up, self._kept))
            self._kill_orphans()

    def _note_death(self, pid: int, status: int) -> None:
        slot = next((slot for slot in self._slots if slot.pid == pid), None)
        if slot is not None:
            self._ended(slot, status)
        # A request's process that died with its worker may leave orphans in its turn.
        self._chasing = self._chasing or pid not in self._kept
        self._kept.discard(pid)

    def _ended(self, slot: Slot, status: int) -> None:
        if slot.ready_fd >= 0:  # it may have got ready and died since
            self._heard(slot)
        os.close(slot.pidfd)
        pid, slot.pid, slot.pidfd = slot.pid, 0, -1
        self._died(slot, f"(pid {pid}) {processes.describe(status)}", status)

    def _died(self, slot: Slot, how: str, status: int) -> None:
        if slot.leaving:
            self._slots.remove(slot)
            return
        if self._end is not None:
            return
        if slot.ready and os.waitstatus_to_exitcode(status) == EXIT_REPLACE:
            # It asked for it, and has said why.
            slot.ready = False
            slot.due = time.monotonic()
            return
        if not slot.ready and not self._complete:
            self._failures += 1
            code = os.waitstatus_to_exitcode(status)
            if code in _HOPELESS or self._failures >= _TRIES_AT_START:
                kind = BY_EXIT_CODE.get(code, EngineError) if code > 1 else EngineError
                self._failure = kind(
                    f"worker {slot.number} {how} before it was ready",
                    "the log lines above say what happened; --log-level debug says more",
                )
                # Those that got ready may have requests already.
                self._stop(quick=False)
                return
        slot.ready = False
        now = time.monotonic()
        delay = slot.backoff.died(now - slot.started)
        slot.due = now + delay
        when = f"in {delay:.1f} s" if delay else "now"
        self._log("warning", f"worker {slot.number} {how}; its replacement starts {when}")

    def _kill_orphans(self) -> None:
        """Kill what the dead have left to us, in our session or in any."""
        workers = {slot.pid for slot in self._slots}
        orphans = [
            process
            for process in processes.children(self._orphans_in)
            if process.pid not in workers and not self._is_kept(process)
        ]
        processes.send(orphans, signal.SIGKILL)

    def _resize(self, count: int) -> None:
        """Have *count* workers: new ones are forked when due, the last ones leave gracefully."""
        staying = [slot for slot in self._slots if not slot.leaving]
        for slot in staying[max(count, 1) :]:
            slot.leaving = True
            if slot.pid:
                self._leaving.append(Ending([slot], False, self._graceful_timeout))
            else:
                self._slots.remove(slot)
        taken = {slot.number for slot in self._slots}
        numbers = (number for number in itertools.count(1) if number not in taken)
        self._slots += map(Slot, itertools.islice(numbers, max(0, count - len(staying))))
        if staying:
            self._tell_when_complete()

    def _stop(self, quick: bool) -> None:
        if self._end is None:
            self._end = Ending(self._slots, quick, self._graceful_timeout)
        elif quick:
            self._end.hurry()

    def _endings(self) -> list[Ending]:
        return [self._end] if self._end else self._leaving

    def _step(self) -> None:
        """Take the next steps of endings that are due."""
        for ending in self._endings():
            killed = ending.step()
            if killed:
                self._log("warning", f"{killed} workers did not end in time and are killed")
        self._leaving = [ending for ending in self._leaving if not ending.over]

    def _kill_everything(self) -> None:
        """Leave no process of our session behind, nor any that must not stay in another."""
        gc.disable()
        deadline = time.monotonic() + QUICK_SECONDS
        while (left := processes.members(os.getsid(0))) and time.monotonic() < deadline:
            processes.send(left, signal.SIGKILL)
            time.sleep(0.01)
        if self._orphans_in is None:
            processes.end_children(self._is_kept, QUICK_SECONDS)

    def _is_kept(self, process: processes.Process) -> bool:
        # What has left our session and is not bound was never a request's (no_new_privs).
        return process.pid in self._kept or (
            process.session != os.getsid(0) and not processes.is_bound(process.pid)
        )
