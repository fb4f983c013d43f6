# SPDX-License-Identifier: MIT
"""A worker: freezes the loaded application and serves it until told to stop."""

from __future__ import annotations

import errno
import faulthandler
import gc
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import engines, forkhooks, gate, holes, hooks, immortal, renew, wsgi
from ._core import FRESH, STOP, Core, CoreSettings
from .config import pack_ip
from .errors import EngineError, GateError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from ._core import Request
    from .config import Settings
    from .engines.base import Engine


# Standard input, output and error: the application's in a context, as under any server.
_STANDARD = (0, 1, 2)

REHEARSALS = 20
"""How often each warm-up path is requested once more: CPython 3.11 specialises code after 8
calls, and what it finds out then takes some more to settle."""


@dataclass(frozen=True, kw_only=True)
class Plumbing:
    """The descriptors a worker inherits, and its number.

    Parameters:
        listeners: listening sockets.
        queue_send: where connections are put for another worker to take.
        queue_recv: where it takes them from.
        events: the supervisor's log.
        access_log: -1 for none.
        announce: where the worker says that it serves.
        number: of this worker, from 1.
        door: of the kernel module, opened by another user; -1: it is opened here.
    """

    listeners: Sequence[int]
    queue_send: int
    queue_recv: int
    events: int
    access_log: int
    announce: int
    number: int
    door: int = -1

    def descriptors(self) -> frozenset[int]:
        """Return all of them: none is the application's."""
        own = (self.queue_send, self.queue_recv, self.events, self.access_log, self.announce)
        return frozenset(fd for fd in (*self.listeners, *own, self.door) if fd >= 0)


def _core_settings(engine: Engine, settings: Settings, plumbing: Plumbing) -> CoreSettings:
    memory = settings.max_request_memory
    if memory and not engine.forks:
        memory = max(1, memory - holes.malloc_room(memory))  # so much of it is there already
    return CoreSettings(
        engine=engine.number,
        worker=plumbing.number,
        workers=settings.workers,
        timeout_ms=round(settings.timeout * 1000),
        after_response_ms=round(settings.after_response_timeout * 1000),
        max_params=settings.max_params,
        max_body=settings.max_body,
        max_request_memory=memory,
        verify=settings.verify,
        dispatch=not (settings.no_dispatch or engine.examine().slower),
        verbose=settings.log_level == "debug",
        hostile=settings.isolate == "hostile",
        discard=settings.lwc_way == "create",
        json=settings.log_format == "json",
        events_fd=plumbing.events,
        access_log_fd=plumbing.access_log,
        queue_send=plumbing.queue_send,
        queue_recv=plumbing.queue_recv,
        door_fd=plumbing.door,
        listeners=plumbing.listeners,
        clients=[pack_ip(text) for text in settings.allowed_clients],
    )


def _arm(core: Core, plumbing: Plumbing) -> None:
    started = gate.extra_threads()
    if started:
        raise GateError(
            f"{started} threads were started by fork hooks when this worker was made",
            "start threads in an after_restore hook, not in a fork hook",
        )
    own = plumbing.descriptors()
    try:
        core.arm([*_STANDARD, *gate.application_fds(own)])
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise GateError(
                "the application's open files have more than 60 gaps between their numbers, "
                "which the engine lwc cannot close",
                "close files in a before_snapshot hook, or use --engine fork",
            ) from error
        raise EngineError(
            f"this worker cannot be made ready: {error}",
            "close the file in a before_snapshot hook, or see `lwcgi check`",
        ) from error


def _restore(core: Core, engine: Engine) -> None:
    """What a fresh context does before its first request."""
    if engine.forks:
        core.after_fork_child()
    else:
        forkhooks.run()
    if engine.isolates:
        renew.renew()
    hooks.run_after_restore()


def _answer(app: WSGIApplication, request: Request, script_name: str, modules: int) -> None:
    wsgi.serve(app, request, script_name)
    if len(sys.modules) > modules:
        _advise_warmup(request, modules)


def _advise_warmup(request: Request, modules: int) -> None:
    late = ", ".join(list(sys.modules)[modules : modules + 5])
    request.log("note", f"imported modules that the snapshot lacks: {late}; add a --warmup path")


def _after_response(request: Request) -> None:
    try:
        hooks.run_after_response()
    except BaseException:  # noqa: BLE001 - a failing hook is the application's, not ours
        for line in traceback.format_exc().splitlines():
            request.log("error", line)


def _turn(
    core: Core, engine: Engine, app: WSGIApplication, script_name: str, modules: int, fresh: bool
) -> None:
    """Serve the request that `core.next` found."""
    request = core.request()
    core.application_starts()
    try:
        if fresh:
            _restore(core, engine)
        _answer(app, request, script_name, modules)
    except BaseException:  # noqa: BLE001 - nothing may leave the context but its end
        for line in traceback.format_exc().splitlines():
            request.log("error", line)
    _after_response(request)
    core.application_ended()
    core.leave()  # returns only where the engine does not isolate


def rehearse(
    app: WSGIApplication, settings: Settings, blocks: Sequence[bytes], events: int
) -> None:
    """Serve ``GET`` requests in this process, before it is frozen; their answers go nowhere.

    CPython rewrites code that runs often into faster forms. A request that starts from the
    snapshot would do so again and again, and each time write to memory that must be put back.

    Parameters:
        app: the application.
        settings: as given.
        blocks: the CGI variables of each request.
        events: descriptor of the supervisor's log.
    """
    if not blocks:
        return
    engine = engines.ENGINES["none"]
    plumbing = Plumbing(
        listeners=(), queue_send=-1, queue_recv=-1, events=events, access_log=-1, announce=-1,
        number=0,
    )  # fmt: skip
    core = Core(_core_settings(engine, settings, plumbing))
    modules = len(sys.modules)
    for _ in range(REHEARSALS):
        renew.renew()
        for block in blocks:
            core.rehearse(block)
            _turn(core, engine, app, settings.script_name, modules, False)
    core.close()


def thin_out(settings: Settings, *, first: bool) -> list[str]:
    """Have requests write to fewer pages of what is in memory; return what was done.

    *first* in the process that forks the workers; afterwards in each of them, for what it has
    made and freed since.
    """
    gc.collect()
    why = "as asked" if settings.no_immortal else immortal.lacks()
    if why:
        counted = f"references to the snapshot's objects are counted: {why}"
    else:
        counted = f"{immortal.apply()} objects of the snapshot are immortal"
    gc.freeze()
    gc.collect()  # empties the free lists of the interpreter: what is in them is a hole too
    room = holes.malloc_room(settings.max_request_memory)
    if first:
        holes.make_room(room)
    return [counted, f"{holes.fill(room) >> 10} KiB of holes in its memory are filled"]


def run(
    app: WSGIApplication, settings: Settings, plumbing: Plumbing, ready: Callable[[], None]
) -> int:
    """Serve *app* in this process, made by ``os.fork()`` of the loaded application.

    Returns the process's exit code, in the root, when the worker was told to stop. Contexts
    never return from here.

    Raises:
        GateError: threads survived the fork.
        EngineError: the kernel or a descriptor does not allow the engine.
    """
    engine = engines.ENGINES[settings.engine]
    core = Core(_core_settings(engine, settings, plumbing))
    if not faulthandler.is_enabled():
        faulthandler.enable()
    if not engine.forks:
        forkhooks.run_before()
    _arm(core, plumbing)
    modules = len(sys.modules)
    if not engine.forks:
        thin_out(settings, first=False)
    ready()
    while True:
        entered = core.next()  # the frozen point
        if entered == STOP:
            break
        _turn(core, engine, app, settings.script_name, modules, entered == FRESH)
    core.close()
    return 0
