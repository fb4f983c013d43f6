# SPDX-License-Identifier: MIT
"""The door to the C core: the only module that sees cffi."""

from __future__ import annotations

import os
from _random import Random as RandomCore
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from ..errors import BodyTooLarge, BodyTruncated, ClientGone
from . import _lwcgi
from ._lwcgi import ffi, lib

ENGINE_NONE: int = lib.ENGINE_NONE
ENGINE_FORK: int = lib.ENGINE_FORK
ENGINE_REWIND: int = lib.ENGINE_REWIND
ENGINE_LWC: int = lib.ENGINE_LWC
# A worker's exit code that asks for another in its place.
EXIT_REPLACE: int = lib.CHANNEL_EXIT_REPLACE
MAX_LISTENERS: int = lib.KEEP_LISTENERS
MAX_CLIENTS: int = lib.KEEP_CLIENTS

STOP: int = lib.LW_STOP
REQUEST: int = lib.LW_REQUEST
FRESH: int = lib.LW_FRESH

_EINTR = -4
_BODY_ERRORS: dict[int, type[OSError]] = {
    -lib.BODY_E_TOO_LARGE: BodyTooLarge,
    -lib.BODY_E_WRONG_LENGTH: BodyTruncated,
    -lib.BODY_E_GONE: ClientGone,
}
_LEVELS = {"debug": b"D", "info": b"I", "warning": b"W", "error": b"E", "note": b"N"}


@dataclass(frozen=True, kw_only=True)
class CoreSettings:
    """What a worker's root is told. Times in milliseconds, sizes in bytes, 0 = no limit."""

    engine: int
    worker: int
    workers: int
    timeout_ms: int
    after_response_ms: int
    max_params: int
    max_body: int
    max_request_memory: int
    verify: bool
    dispatch: bool
    verbose: bool
    hostile: bool
    discard: bool
    json: bool
    events_fd: int
    access_log_fd: int
    queue_send: int
    queue_recv: int
    door_fd: int
    listeners: Sequence[int]
    clients: Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """What the self-test found: errors are an errno, minus a signal, or 0 (selftest.h).

    Parameters:
        premise: of the engine ``rewind``, the first that does not hold; empty: all do.
        mapping: the kind of memory it does not hold for; empty where that does not matter.
        remedy: what to do about it.
        err: how it showed.
        unseen: how it showed that system calls cannot be seen; None: they can.
    """

    premise: str
    mapping: str
    remedy: str
    err: int
    unseen: int | None


@cache
def confinement() -> int:
    """Tell whether contexts can be kept from other processes: 0 or minus an errno (confine.h)."""
    result: int = lib.lw_confinement()
    return result


@cache
def selftest() -> SelfTest:
    """Try on this machine what the engine ``rewind`` takes for granted; once in a process."""
    result = ffi.new("struct lw_selftest *")
    lib.lw_selftest(os.fsencode(_lwcgi.__file__), result)
    text = [
        ffi.string(field).decode() if field else ""
        for field in (result.premise, result.mapping, result.remedy)
    ]
    return SelfTest(
        premise=text[0],
        mapping=text[1],
        remedy=text[2],
        err=result.err,
        unseen=result.unseen_err if result.unseen else None,
    )


def _check(ret: int, what: str) -> None:
    if ret < 0:
        raise OSError(-ret, f"{what}: {os.strerror(-ret)}")


def disable_huge_pages() -> None:
    """Have no transparent huge pages from here on, which `rewind` would put back whole.

    Raises:
        OSError: the kernel refuses.
    """
    _check(lib.lw_disable_huge_pages(), "huge pages cannot be disabled")


def call_hook(hook: Callable[[], object]) -> None:
    """Call *hook*; report what it raises and go on, as CPython does around a fork."""
    lib.lw_python_call_hook(id(hook))


def make_room(pymalloc: int, malloc: int) -> None:
    """Have the two allocators hold so many fresh bytes. See holes.h."""
    lib.lw_make_malloc_room(malloc)
    lib.lw_make_pymalloc_room(pymalloc)


def fill_holes(most: int, room: int) -> int:
    """Fill holes of the two allocators, at most *most* bytes of each; return how many in all.

    *room* is what malloc was made to hold.
    """
    return int(lib.lw_fill_malloc(most, room) + lib.lw_fill_pymalloc(most))


def reference_count(address: int) -> int:
    """Return the reference count of the object at *address* (lower half of ob_refcnt)."""
    return int(ffi.cast("uint32_t *", address)[0])


def set_reference_counts(addresses: Sequence[int], count: int) -> None:
    """Write *count* into the reference counts of the objects at *addresses*."""
    for address in addresses:
        ffi.cast("uint32_t *", address)[0] = count


class MersenneTwister:
    """The state of a ``random.Random`` object, which can then be renewed in half a microsecond.

    Raises:
        ValueError: it does not lie where CPython 3.11 to 3.13 put it.
    """

    def __init__(self, generator: Random) -> None:
        # PyObject_HEAD, int index, uint32_t state[624]: checked against what getstate() says.
        self._index = ffi.cast("int32_t *", id(generator) + object.__basicsize__)
        self._state = ffi.cast("uint32_t *", self._index + 1)
        self._generator: Any = generator
        *words, index = RandomCore.getstate(generator)
        if self._index[0] != index or list(self._state[0 : len(words)]) != words:
            raise ValueError("the generator's state has another layout")

    def renew(self) -> None:
        """Have it draw what no other request draws.

        Raises:
            OSError: the kernel gives no randomness.
        """
        if lib.lw_renew_random(self._state):
            raise OSError("the kernel gives no randomness")
        self._index[0] = 624  # all of the state is used up: the next draw makes new words
        self._generator.gauss_next = None


class Request:
    """The current request, as the WSGI layer needs it (its ``Transport``).

    Under engines that isolate, an object of this class belongs to one context.
    """

    __slots__ = ("block", "has_body", "request_id", "role")

    def __init__(self, worker: int) -> None:
        length = ffi.new("uint32_t *")
        block = lib.lw_block(length)
        self.block: bytes = ffi.buffer(block, length[0])[:]
        self.request_id: str = f"w{worker}-{lib.lw_number():06}"
        self.has_body: bool = bool(lib.lw_has_body())
        self.role: int = lib.lw_role()

    @property
    def headers_sent(self) -> bool:
        """True once a byte of the answer was handed over."""
        return bool(lib.lw_headers_sent())

    def write(self, data: bytes) -> None:
        """Hand over bytes of the answer (CGI form: ``Status:`` and headers first).

        Raises:
            ClientGone: nobody takes them.
        """
        if lib.lw_write(ffi.from_buffer(data), len(data), 0):
            raise ClientGone("the client went away")

    def finish(self, data: bytes = b"") -> None:
        """Hand over the last bytes of the answer; it is then complete.

        Raises:
            ClientGone: nobody takes them.
        """
        if lib.lw_write(ffi.from_buffer(data), len(data), 1):
            raise ClientGone("the client went away")

    def abort(self) -> None:
        """Give the answer up: the web server will see that it is not complete.

        Does not return under engines that isolate.
        """
        lib.lw_abort()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read body bytes into *buffer*; return how many, 0 at the end.

        Raises:
            BodyTooLarge: more than ``--max-body``.
            BodyTruncated: not as long as CONTENT_LENGTH said.
            ClientGone: the web server aborted the request.
        """
        into = ffi.from_buffer(buffer, require_writable=True)
        while True:
            count: int = lib.lw_read(into, len(into))
            if count >= 0:
                return count
            if count != _EINTR:
                raise _BODY_ERRORS.get(count, ClientGone)("the request's body cannot be read")

    def log(self, level: str, text: str) -> None:
        """Send one line to the server's log, under this request's id.

        *level* is ``debug``, ``info``, ``warning``, ``error``, or ``note`` for what a worker
        need say only once.
        """
        line = text.encode("utf-8", "backslashreplace")
        lib.lw_log(_LEVELS[level], ffi.from_buffer(line), len(line))


class Core:
    """One worker's root and its frozen point (ARCHITECTURE.md)."""

    def __init__(self, settings: CoreSettings) -> None:
        """Map the keep.

        Raises:
            OSError: the kernel refuses.
            ValueError: more than MAX_LISTENERS listeners or MAX_CLIENTS clients.
        """
        if len(settings.listeners) > MAX_LISTENERS or len(settings.clients) > MAX_CLIENTS:
            raise ValueError(f"at most {MAX_LISTENERS} addresses and {MAX_CLIENTS} clients")
        self._worker = settings.worker
        self._frozen = False
        self._forks = settings.engine not in (ENGINE_REWIND, ENGINE_LWC)
        cfg = ffi.new("struct lw_settings *")
        for name in CoreSettings.__dataclass_fields__:
            if name not in ("listeners", "clients"):
                setattr(cfg, name, getattr(settings, name))
        cfg.listener_count = len(settings.listeners)
        for index, fd in enumerate(settings.listeners):
            cfg.listeners[index] = fd
        cfg.client_count = len(settings.clients)
        for index, ip in enumerate(settings.clients):
            cfg.clients[index] = ip
        _check(lib.lw_create(cfg), "the worker's own memory cannot be mapped")

    def arm(self, descriptors: Sequence[int]) -> None:
        """Turn this process into a root; *descriptors* are the application's, ascending.

        Raises:
            OSError: a descriptor cannot be opened anew, or the kernel lacks something.
        """
        bad = ffi.new("int *")
        ret = lib.lw_arm(list(descriptors), len(descriptors), bad)
        about = f"descriptor {bad[0]} cannot be opened anew" if bad[0] >= 0 else "arming"
        _check(ret, about)

    def rehearse(self, block: bytes) -> None:
        """Make a request of the CGI variables *block* the current one; its answer goes nowhere.

        Before `arm`, and with ENGINE_NONE only.

        Raises:
            OSError: the variables are longer than max_params.
        """
        _check(lib.lw_rehearse(block, len(block)), "the variables are too long")

    def next(self) -> int:
        """Wait for a request: STOP, REQUEST or FRESH. See core.h, lw_next.

        Raises:
            OSError: the worker cannot go on and must be replaced.
        """
        if self._forks and not self._frozen:
            # The frozen point lies in the middle of a fork: hooks that run before
            # one have run, and each context runs those of a child.
            lib.lw_python_before_fork()
            self._frozen = True
        ret: int = lib.lw_next()
        if self._forks and ret <= STOP:
            lib.lw_python_after_fork_parent()
        _check(ret, "the worker cannot go on")
        return ret

    def after_fork_child(self) -> None:
        """Run CPython's child-side fork hooks in a fresh context."""
        lib.lw_python_after_fork_child()

    def request(self) -> Request:
        """Return the current request."""
        return Request(self._worker)

    def application_starts(self) -> None:
        """Let the root look after the idle connections meanwhile."""
        lib.lw_app_runs()

    def application_ended(self) -> None:
        """Take the connections back."""
        lib.lw_app_ran()

    def leave(self) -> None:
        """End the request's context. Returns only under engines that do not isolate."""
        lib.lw_leave()

    def close(self) -> None:
        """Hand idle connections to other workers, log what was served, unmap the keep."""
        lib.lw_close()
