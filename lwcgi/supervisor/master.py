# SPDX-License-Identifier: MIT
"""The master: owns addresses, log and signals; keeps the gateway going.

It never runs application code, and takes whatever reaches it from there for untrusted text.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from .. import __version__
from ..config import Settings
from . import activation, examination, processes
from .directory import Directory
from .generation import Generation
from .handover import Handover, Heir, note_listeners
from .identity import resolve
from .intake import Intake
from .launch import Descriptors, Snapshot, become_subreaper
from .logs import Log
from .notify import Notifier
from .reexec import Reexec
from .signals import Signals
from .sockets import Listener, parse
from .strangers import Strangers
from .succession import Succession

# As much as the kernel allows without privileges (net.core.wmem_max, socket(7)).
_QUEUE_BYTES = 1 << 20


class Master:
    """Runs a gateway.

    Parameters:
        settings: what to serve, and how.
        log: the server's log.
        check: only load and freeze the application, then end.
        reread: returns the settings as they are configured by now, for a reload.
        left: what another lwcgi has left to this one, in this process.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        check: bool = False,
        reread: Callable[[], Settings] | None = None,
        left: Handover | None = None,
    ) -> None:
        self._identity = resolve(settings.user, settings.group)
        self._engine, self._why = self._choose(settings)
        self._settings = settings
        self._log = log
        self._check = check
        self._left = left
        self._selector = selectors.DefaultSelector()
        self._intake = Intake(log, left.intake if left else ())
        self._notifier = Notifier({} if check else os.environ, log)
        self._chores = (self._intake, self._notifier)
        self._queue = _open_queue(left.queue if left else None)
        self._listeners: list[Listener] = left.open_listeners() if left else []
        self._succession = Succession(
            settings, self._choose, self._launch, log.write, self._selector, check
        )
        self._succession.reread = reread
        self._strangers = Strangers(_spared(left))
        self._strangers.unwelcome = left is not None and left.hostile
        self._more_dead = False
        self._directory = Directory()
        self._succession.on_load = self._enter_directory
        self._succession.on_end = self._on_end
        self._succession.on_ready = lambda _: self._tell_ready()
        self._intake.on_crash = self._succession.freshness.crashed
        self._reexec = Reexec(self._leave, log.write)
        self._notes: list[str] | None = None
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
        if self._identity:
            self._intake.let_others_write()
        with ExitStack() as stack:
            stack.callback(self._selector.close)
            self._signals = stack.enter_context(Signals())
            stack.callback(self._intake.close)
            stack.callback(self._close_queue)
            if self._left and self._left.trial:
                self._intake.open_access_log(self._settings.access_log)
                return None
            stack.callback(self._close_listeners)
            if not self._check:
                self._open()
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
            self._intake.on_new_events = self._watch_anew
            for fd, take in self._intake.sources():
                self._selector.register(fd, selectors.EVENT_READ, take)
            stack.callback(self._kill)
            self._begin()
            while not self._is_over():
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                for chore in self._chores:
                    chore.tick(time.monotonic())
                self._tick()
            if not self._check:
                self._log.write("info", "stopped")
        return self._notes

    def _open(self) -> None:
        settings, left = self._settings, self._left
        if not left:
            for text in settings.bind:
                self._listeners.append(
                    Listener(
                        parse(text),
                        settings.backlog,
                        settings.allow_remote,
                        settings.socket_mode,
                        self._identity,
                    )
                )
        self._intake.open_access_log(settings.access_log)
        addresses = ", ".join(map(str, self._listeners))
        after = f", taking over from {left.version}" if left else ""
        self._log.write("info", f"lwcgi {__version__}{after}, listening on {addresses}")
        self._log.write("info", f"engine {self._engine}, {self._why}")
        for text in activation.unused(settings.bind, os.environ):
            self._log.write("warning", f"{text} was passed to lwcgi and is not used: see --bind")

    def _begin(self) -> None:
        left, succession = self._left, self._succession
        self._welcome(self._settings)
        if not left:
            succession.begin()
            return
        if list(self._settings.bind) != left.bind:
            self._log.write("warning", "--bind has changed: that takes a restart")
        if self._settings.workers == left.configured:
            succession.workers = left.workers
        succession.was_ready = True
        for heir in left.heirs:
            generation = heir.generation(self._settings)
            succession.adopt(generation)
            if heir.serves:
                succession.serving = generation
                succession.freshness.renewed(generation.settings, generation.started)
                self._intake.speaker = generation.pid
        # Whoever died on the way told the program before.
        self._reap()
        succession.load("SIGUSR2")

    def _choose(self, settings: Settings) -> tuple[str, str]:
        return examination.choose(settings.engine, settings.isolate, self._identity)

    def _launch(self, settings: Settings) -> Snapshot:
        self._welcome(settings)
        with examination.door(self._identity, settings.engine) as door:
            descriptors = Descriptors(
                listeners=[listener.fileno() for listener in self._listeners],
                events=self._intake.events,
                output=self._intake.output,
                access_log=self._intake.access_log,
                queue=(self._queue[0].fileno(), self._queue[1].fileno()),
                door=door,
            )
            snapshot = Snapshot.start(settings, descriptors, self._check, self._identity)
        self._intake.speaker = snapshot.pid
        return snapshot

    def _welcome(self, settings: Settings) -> None:
        """Note what requests of *settings* may leave behind."""
        if settings.isolate == "hostile":
            self._strangers.unwelcome = True

    def _enter_directory(self) -> None:
        if why := self._directory.enter():
            self._log.write("warning", why)

    def _leave(self) -> Handover:
        """Return what the program that is to follow needs."""
        succession = self._succession
        return Handover(
            bind=list(self._settings.bind),
            listeners=note_listeners(self._listeners),
            queue=[end.fileno() for end in self._queue],
            intake=self._intake.descriptors(),
            workers=succession.workers,
            configured=succession.settings.workers,
            heirs=[Heir.of(one, one is succession.serving) for one in succession.generations],
            spared=sorted(self._strangers.spared),
            hostile=self._strangers.unwelcome,
        )

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _close_queue(self) -> None:
        for end in self._queue:
            end.close()

    def _is_over(self) -> bool:
        done = self._succession.stopping or (self._check and self._notes is not None)
        return done and not self._succession.generations

    def _patience(self) -> float | None:
        """Return the seconds until something is due; None when nothing is."""
        if self._more_dead or (self._reexec.ready and self._succession.is_movable()):
            return 0.0
        due = self._reexec.due()
        waits = [] if due is None else [max(0.0, due - time.monotonic())]
        now = time.monotonic()
        waits += [max(0.0, chore.due - now) for chore in self._chores if chore.due is not None]
        if (patience := self._succession.patience()) is not None:
            waits.append(patience)
        return min(waits, default=None)

    def _tick(self) -> None:
        succession, reexec = self._succession, self._reexec
        if self._more_dead:
            self._reap()
        reexec.tick()
        if succession.stopping:
            reexec.wanted = reexec.passed = False
        succession.held = reexec.wanted or reexec.pending
        succession.tick()
        if reexec.ready and succession.is_movable():
            if reexec.passed:
                self._intake.drain()
                reexec.execute(self._signals)
            else:
                self._enter_directory()
                reexec.try_out()
            # Where nothing came of it, what was held back is due.
            succession.held = reexec.wanted or reexec.pending
        if self._notifier.reloads and succession.is_settled():
            self._tell_ready()  # the reload came to nothing
        if succession.was_ready and not (succession.serving or succession.stopping):
            self._notifier.status("not serving: the application is loaded again")

    def _on_signals(self) -> None:
        succession = self._succession
        for number in self._signals.arrived():
            name = signal.Signals(number).name
            if number in (signal.SIGTERM, signal.SIGQUIT):
                self._stop(quick=False, name=name)
            elif number == signal.SIGINT:
                self._stop(quick=True, name=name)
            elif number == signal.SIGHUP and self._in_terminal and not os.isatty(0):
                self._stop(quick=False, name=name)  # the terminal was closed
            elif number == signal.SIGHUP:
                if not succession.stopping and succession.was_ready:
                    self._notifier.reloading(f"{name}: the application is loaded again")
                succession.load(name, reread=True)
            elif number == signal.SIGUSR1:
                self._intake.reopen_logs()
            elif number == signal.SIGTTIN:
                succession.resize(1, name)
            elif number == signal.SIGTTOU:
                succession.resize(-1, name)
            elif number == signal.SIGUSR2:
                self._execute_anew()
            elif number == signal.SIGCHLD:
                self._reap()

    def _execute_anew(self) -> None:
        if self._check or self._succession.stopping or self._reexec.wanted:
            return
        self._log.write("info", "SIGUSR2: lwcgi is executed anew")
        self._reexec.wanted = True

    def _tell_ready(self) -> None:
        serving = self._succession.serving
        workers = f"{self._succession.workers} worker{'s' if self._succession.workers != 1 else ''}"
        engine = serving.settings.engine if serving else self._engine
        self._notifier.ready(f"serving: {workers}, engine {engine}")

    def _stop(self, quick: bool, name: str) -> None:
        self._notifier.stopping(f"{name}: stopping")
        self._close_listeners()
        # Nobody will take a connection from it any more: nobody shall wait for room in it.
        try:
            self._queue[1].shutdown(socket.SHUT_RD)
        except OSError:
            pass
        self._reexec.abandon()
        self._succession.stop(quick, name)

    def _watch_anew(self, fd: int, take: Callable[[], object]) -> None:
        self._selector.unregister(fd)
        self._selector.register(fd, selectors.EVENT_READ, take)

    def _reap(self) -> None:
        self._more_dead = processes.reap(self._note_death) == processes.MOST
        # Whose parent has just died; their own deaths are told in the same way.
        self._strangers.kill(self._sessions())

    def _note_death(self, pid: int, status: int) -> None:
        self._strangers.died(pid)
        self._reexec.died(pid, status)
        self._succession.died(pid, status)

    def _sessions(self) -> list[int]:
        return [generation.pid for generation in self._succession.generations]

    def _kill(self) -> None:
        """Leave no process behind."""
        self._succession.kill()
        self._strangers.end(self._sessions())

    def _on_end(self, generation: Generation) -> None:
        self._intake.drain()
        serving = self._succession.serving
        if serving and self._intake.speaker == generation.pid:
            self._intake.speaker = serving.pid
        if self._check:
            self._notes = generation.notes


def _spared(left: Handover | None) -> set[int]:
    """Return the pids of the children that were there before lwcgi."""
    if left and left.spared is not None:
        return set(left.spared)
    own = {heir.pid for heir in left.heirs} if left else set()
    return {process.pid for process in processes.children(None)} - own


def _open_queue(inherited: list[int] | None) -> tuple[socket.socket, socket.socket]:
    """Return the sending and the receiving end of the queue of connections."""
    if inherited:
        send, receive = (socket.socket(fileno=fd) for fd in inherited)
    else:
        send, receive = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        send.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_BYTES)
    for end in (send, receive):
        end.setblocking(False)
    return send, receive
