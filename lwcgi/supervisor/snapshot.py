# SPDX-License-Identifier: MIT
"""The snapshot process: loads the application, freezes it, and forks workers from that state.

Started by the master as ``python -m lwcgi.supervisor.snapshot FD``, FD being the control
socket; everything else comes with the first message on it.
"""

from __future__ import annotations

import faulthandler
import fcntl
import gc
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from .. import __version__, _core, engines, forkhooks, gate, hooks, loader, renew, warmup, worker
from ..config import Settings
from ..engines import lwc
from ..errors import ApplicationError, EngineError, GateError, LwcgiError
from . import machine, wire
from .crew import Crew

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True)
class Orders:
    """The first message: what to load, and the descriptors that were inherited."""

    settings: Settings
    listeners: list[int]
    events: int
    access_log: int
    check: bool
    control: int
    queue_send: int
    queue_recv: int
    door: int

    @classmethod
    def receive(cls, control: int) -> Orders:
        """Read the orders, which the master sent before it started us.

        Raises:
            EngineError: the master is another version of lwcgi.
        """
        message = wire.unpack_message(os.read(control, wire.LARGEST_MESSAGE))
        if not message:
            sys.exit("lwcgi.supervisor.snapshot is started by `lwcgi run`, not by hand")
        if message.get("version") != __version__:
            raise EngineError(
                f"lwcgi {__version__} is installed, but {message.get('version')} is running",
                "send SIGUSR2 to the supervisor, so that it becomes the new version",
            )
        listeners, queue = message["listeners"], message["queue"]
        assert isinstance(listeners, list)
        assert isinstance(queue, list)
        return cls(
            settings=Settings.from_json(str(message["settings"])),
            listeners=[int(fd) for fd in listeners],
            events=int(str(message["events"])),
            access_log=int(str(message["access_log"])),
            check=bool(message["check"]),
            control=control,
            queue_send=int(queue[0]),
            queue_recv=int(queue[1]),
            door=int(str(message["door"])),
        )

    def descriptors(self) -> frozenset[int]:
        """Return every descriptor that is ours, not the application's."""
        single = {self.control, self.events, self.access_log, self.queue_send, self.queue_recv}
        return frozenset({0, 1, 2, *self.listeners, *single, self.door}) - {-1}


def main() -> None:
    """Be the snapshot process; ends it, never returns."""
    control = int(sys.argv[1])
    try:
        orders = Orders.receive(control)
    except LwcgiError as error:
        _give_up(control, error)
        sys.exit(error.exit_code)
    for fd in orders.descriptors() - {0, 1, 2}:
        os.set_inheritable(fd, False)
    _die_with_master(orders.control)
    # Workers and requests end without flushing Python's buffers.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr] # no other is there yet
    sys.argv = ["lwcgi"]
    # The master sends SIGABRT when loading takes too long.
    faulthandler.enable()
    _conclude(orders.control, partial(_load, orders))


def _conclude(control: int, work: Callable[[], None]) -> NoReturn:
    """Do *work*, the last this process does, and end it; report a failure to the master."""
    code = 0
    try:
        work()
    except LwcgiError as error:
        code = error.exit_code
        _give_up(control, error)
    except BaseException as error:  # noqa: BLE001 - the master must hear of it
        code = LwcgiError.exit_code
        _give_up(control, _unexpected(error))
    finally:
        # No exit handlers: requests never saw them run, and one that hangs would keep us.
        os._exit(code)


def _die_with_master(control: int) -> None:
    """Have the kernel kill us when the master's end of *control* closes (F_SETSIG, fcntl(2)).

    Only while application code runs here (PR_SET_PDEATHSIG would stay for good): afterwards
    the crew sees the end, and first stops its workers.
    """
    fcntl.fcntl(control, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(control, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(control, 0)
    if poll.poll(0):  # it closed before we asked
        os._exit(1)


def _outlive_master(control: int) -> None:
    """Undo `_die_with_master`."""
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) & ~os.O_ASYNC)


def _load(orders: Orders) -> None:
    settings = orders.settings
    lwc.inherit_door(orders.door)
    # Examined while this process is small; workers inherit it.
    engine, _ = machine.choose(settings.engine, settings.isolate)
    if engine is not lwc.ENGINE and orders.door >= 0:
        os.close(orders.door)
        orders = replace(orders, door=-1)
    if not engine.forks:
        _core.disable_huge_pages()
        forkhooks.record()

    def work(application: WSGIApplication) -> NoReturn:
        _conclude(orders.control, partial(_work, orders, application))

    loader.expect(work)
    _work(orders, loader.load(settings))


def _work(orders: Orders, application: WSGIApplication) -> None:
    log = partial(wire.send_line, orders.events)
    try:
        notes = _freeze(orders, application, log)
    finally:
        _outlive_master(orders.control)
    if orders.check:
        _send(orders.control, wire.checked(notes))
        return
    for note in notes:
        log("debug", note)
    settings = orders.settings

    def serve(number: int, announce: int, ready: Callable[[], None]) -> int:
        plumbing = worker.Plumbing(
            listeners=orders.listeners,
            queue_send=orders.queue_send,
            queue_recv=orders.queue_recv,
            events=orders.events,
            access_log=orders.access_log,
            announce=announce,
            number=number,
            door=orders.door,
        )
        return worker.run(application, settings, plumbing, ready)

    crew = Crew(
        settings.workers,
        serve,
        log,
        orders.control,
        settings.graceful_timeout,
        detached_may_stay=settings.isolate != "hostile",
    )
    if engines.ENGINES[settings.engine].forks:
        gc.collect()
        gc.freeze()
    else:
        for line in worker.thin_out(settings, first=True):
            log("debug", line)
    crew.run()


def _freeze(
    orders: Orders, application: WSGIApplication, log: Callable[[str, str], None]
) -> list[str]:
    """Make *application* ready to be frozen; return what is worth knowing about it."""
    settings = orders.settings
    paths = _warm_up(application, settings, log)
    blocks = [warmup.block(path, settings.script_name) for path in paths]
    worker.rehearse(application, settings, blocks, orders.events)
    hooks.run_before_snapshot()
    notes = [f"renewed in every request: {what}" for what in renew.survey()]
    for what in renew.repeats():
        log("warning", f"draws the same in every request: {what}")
    # After the survey, which may import: what it opened must pass too.
    _pass_gate(orders)
    threads = gate.native_threads()
    if threads:
        notes.append(f"{threads} native threads run; they must restart by themselves after fork")
    return notes


def _warm_up(
    application: WSGIApplication, settings: Settings, log: Callable[[str, str], None]
) -> list[str]:
    try:
        return warmup.run(application, settings.warmup, settings.script_name, log)
    except (SystemExit, KeyboardInterrupt) as error:
        raise ApplicationError(
            f"the application ended its process ({error!r}) in a warm-up request",
            "warm up other paths with --warmup, or none with --no-warmup",
            traceback.format_exc(),
        ) from error


def _pass_gate(orders: Orders) -> None:
    findings = gate.inspect(orders.descriptors(), frozenset(orders.settings.allow))
    if findings:
        # One line for each finding, in both: they are told in pairs.
        causes = [
            f"the application cannot be frozen: {found.kind}: {' '.join(found.what.splitlines())}"
            for found in findings
        ]
        remedies = [f"{found.remedy}; or let it pass: --allow {found.kind}" for found in findings]
        raise GateError("\n".join(causes), "\n".join(remedies))


def _unexpected(error: BaseException) -> LwcgiError:
    summary = traceback.format_exception_only(type(error), error)[-1].strip()
    return LwcgiError(
        f"the snapshot process failed: {summary}",
        "this is likely an error in lwcgi; please report it with the traceback",
        "".join(traceback.format_exception(error)),
    )


def _give_up(control: int, error: LwcgiError) -> None:
    _send(control, wire.failed(error.exit_code, error.cause, error.remedy, error.traceback))


def _send(control: int, message: bytes) -> None:
    try:
        os.write(control, message)
    except OSError:
        pass  # nobody is left to hear it


if __name__ == "__main__":
    main()
