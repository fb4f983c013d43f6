# SPDX-License-Identifier: MIT
"""The master: owns addresses, log and signals; keeps one snapshot process going.

It never runs application code, and takes whatever reaches it from there for untrusted text.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

from .. import __version__
from ..config import Settings
from ..errors import BY_EXIT_CODE, ApplicationError, EngineError, LwcgiError
from . import machine, processes
from .backoff import Backoff
from .crew import QUICK_SECONDS
from .intake import Intake
from .launch import Descriptors, Snapshot, become_subreaper
from .logs import Log
from .signals import Signals
from .sockets import Listener, parse

# What a snapshot process may take to end beyond the time its workers get.
_MARGIN_SECONDS = 5.0
# How often the end of a dead snapshot process's workers is looked for.
_GLANCE_SECONDS = 0.05


@dataclass
class _Generation:
    """One snapshot process and what is known of it."""

    snapshot: Snapshot
    started: float
    heard: bool = True  # its messages are listened for
    leads: bool = False  # workers, and takes orders
    failure: LwcgiError | None = None
    ended: int | None = None  # its wait status
    patience: float = 0.0  # moment when what it left behind is killed


class Master:
    """Runs a gateway.

    Parameters:
        settings: what to serve, and how.
        log: the server's log.
        check: only load and freeze the application, then end.
    """

    def __init__(self, settings: Settings, log: Log, check: bool = False) -> None:
        engine, self._why = machine.choose(settings.engine)
        self._settings = replace(settings, engine=engine.name)
        self._log = log
        self._check = check
        self._selector = selectors.DefaultSelector()
        self._intake = Intake(log)
        self._listeners: list[Listener] = []
        self._generation: _Generation | None = None
        self._backoff = Backoff()
        self._start_at: float | None = None
        self._notes: list[str] | None = None
        self._was_ready = False
        self._stopping = False
        self._quick = False
        self._kill_at = 0.0
        self._over = False
        # A shell that is closed sends SIGHUP; a service manager means "reload" by it.
        self._in_terminal = os.isatty(0)

    def run(self) -> list[str] | None:
        """Serve until a signal says stop; return what a completed `check` found out.

        Raises:
            BindError: an address cannot be used.
            ConfigError: the access log cannot be opened.
            ApplicationError, GateError, EngineError: the application cannot be started.
        """
        become_subreaper()
        with ExitStack() as stack:
            stack.callback(self._selector.close)
            self._signals = stack.enter_context(Signals())
            stack.callback(self._intake.close)
            stack.callback(self._close_listeners)
            if not self._check:
                self._open()
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
            for fd, take in self._intake.sources():
                self._selector.register(fd, selectors.EVENT_READ, take)
            stack.callback(self._kill_generation)
            self._start()
            while not self._over:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._tick()
        return self._notes

    def _open(self) -> None:
        settings = self._settings
        for text in settings.bind:
            self._listeners.append(Listener(parse(text), settings.backlog, settings.allow_remote))
        self._intake.open_access_log(settings.access_log)
        addresses = ", ".join(str(listener.address) for listener in self._listeners)
        self._log.write("info", f"lwcgi {__version__}, listening on {addresses}")
        self._log.write("info", f"engine {settings.engine}, {self._why}")

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _start(self) -> None:
        """Start a snapshot process."""
        self._start_at = None
        descriptors = Descriptors(
            listeners=[listener.fileno() for listener in self._listeners],
            events=self._intake.events,
            output=self._intake.output,
            access_log=self._intake.access_log,
        )
        try:
            snapshot = Snapshot(self._settings, descriptors, self._check)
        except OSError as error:
            if not self._was_ready:
                raise EngineError(
                    f"cannot start a process: {error.strerror}",
                    "raise the limits on processes and memory",
                ) from error
            self._retry(f"cannot start the snapshot process: {error.strerror}", 0.0)
            return
        self._generation = _Generation(snapshot, time.monotonic())
        self._intake.speaker = snapshot.pid
        self._selector.register(snapshot.control, selectors.EVENT_READ, self._on_message)

    def _patience(self) -> float | None:
        """Return the seconds until something is due; None when nothing is."""
        due = [moment for moment in (self._start_at, self._kill_at) if moment]
        if self._generation and self._generation.ended is not None:
            return _GLANCE_SECONDS
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _tick(self) -> None:
        now = time.monotonic()
        generation = self._generation
        if generation and generation.ended is not None:
            self._clean_up(generation, generation.ended)
        elif generation and self._kill_at and now >= self._kill_at:
            self._kill_at = 0.0
            self._log.write("warning", "the workers did not end in time and are killed")
            self._kill_generation()
        elif self._start_at is not None and now >= self._start_at:
            self._start()

    def _on_signals(self) -> None:
        for number in self._signals.arrived():
            if number in (signal.SIGTERM, signal.SIGQUIT):
                self._stop(quick=False, name=signal.Signals(number).name)
            elif number == signal.SIGINT:
                self._stop(quick=True, name="SIGINT")
            elif number == signal.SIGHUP and self._in_terminal:
                self._stop(quick=False, name="SIGHUP")
            elif number == signal.SIGHUP:
                self._log.write(
                    "warning", "SIGHUP: this version cannot reload; restart the service instead"
                )
            elif number == signal.SIGCHLD:
                self._reap()

    def _stop(self, quick: bool, name: str) -> None:
        """Begin to stop; a quick order makes a graceful stop quick, and a quick stop instant."""
        generation = self._generation
        at_once = self._quick and quick
        if self._stopping and not quick:
            return
        self._stopping, self._quick = True, self._quick or quick
        self._start_at = None
        self._close_listeners()
        if generation is None:
            self._over = True
        elif not generation.leads or at_once:
            self._log.write("info", f"{name}: stopping now")
            self._kill_generation()
        else:
            grace = 0.0 if quick else self._settings.graceful_timeout
            self._log.write("info", f"{name}: stopping {'quickly' if quick else 'gracefully'}")
            generation.snapshot.stop(quick)
            self._kill_at = time.monotonic() + grace + 2 * QUICK_SECONDS + _MARGIN_SECONDS

    def _kill_generation(self) -> None:
        if self._generation:
            self._generation.snapshot.kill_leftovers()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            generation = self._generation
            if generation and pid == generation.snapshot.pid and generation.ended is None:
                self._on_message()
                self._stop_hearing(generation)
                generation.snapshot.reaped(status)
                generation.snapshot.interrupt_orphans()
                generation.ended = status
                grace = QUICK_SECONDS if generation.leads and not self._quick else 0.0
                generation.patience = time.monotonic() + grace

    def _on_message(self) -> None:
        generation = self._generation
        if generation is None:
            return
        messages = generation.snapshot.receive()
        if messages is None:
            # It is dying; or application code closed the socket, and it cannot be led any more.
            self._stop_hearing(generation)
            self._kill_at = self._kill_at or time.monotonic() + QUICK_SECONDS
        for message in messages or []:
            event = message.get("event")
            if event == "frozen":
                generation.leads = True
            elif event == "ready":
                self._was_ready = True
                count = self._settings.workers
                workers = f"{count} worker{'s' if count != 1 else ''}"
                self._log.write("info", f"ready: {workers}, engine {self._settings.engine}")
            elif event == "failed":
                generation.failure = _error_from(message)
            elif event == "checked":
                notes = message.get("notes")
                self._notes = [str(note) for note in notes] if isinstance(notes, list) else []

    def _stop_hearing(self, generation: _Generation) -> None:
        if generation.heard:
            generation.heard = False
            self._selector.unregister(generation.snapshot.control)

    def _clean_up(self, generation: _Generation, status: int) -> None:
        """Wait for the session of a dead snapshot process to be empty; then go on."""
        now = time.monotonic()
        # Its workers are stopping by themselves; give them their time.
        if processes.members(generation.snapshot.pid):
            if now >= generation.patience:
                generation.snapshot.kill_leftovers()
            if now < generation.patience + _MARGIN_SECONDS:
                return
            self._log.write("error", "processes are left that cannot be killed; see ps -ef")
        self._intake.drain()
        self._generation = None
        self._kill_at = 0.0
        if self._stopping or (self._check and self._notes is not None):
            self._over = True
            if not self._check:
                self._log.write("info", "stopped")
            return
        failure = generation.failure or _sudden_end(status, generation.leads)
        if not self._was_ready:
            raise failure
        for text in (failure.traceback.rstrip(), failure.cause, failure.remedy):
            if text:
                self._log.write("error", text)
        self._retry("the snapshot process is gone", now - generation.started)

    def _retry(self, what: str, age: float) -> None:
        delay = self._backoff.died(age)
        when = f"in {delay:.1f} s" if delay else "now"
        self._log.write("error", f"{what}; the application is loaded again {when}")
        self._start_at = time.monotonic() + delay


def _error_from(message: dict[str, object]) -> LwcgiError:
    code = message.get("exit_code")
    kind = BY_EXIT_CODE.get(code, LwcgiError) if isinstance(code, int) else LwcgiError
    cause, remedy, traceback = (
        str(message.get(key, "")) for key in ("message", "remedy", "traceback")
    )
    return kind(cause, remedy, traceback)


def _sudden_end(status: int, loaded: bool) -> LwcgiError:
    if loaded:
        return ApplicationError(
            f"the snapshot process {processes.describe(status)}",
            "if nobody ended it, the lines above or the kernel's log (dmesg) may say why",
        )
    return ApplicationError(
        f"the process that loads the application {processes.describe(status)}",
        "what it printed is above; python -X faulthandler -c 'import MODULE' may show more",
    )
