# SPDX-License-Identifier: MIT
"""Promise 7: every request gets one answer, complete or visibly cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.checks.asking import get, state
from tests.harness import fastcgi

if TYPE_CHECKING:
    from tests.harness import Connection, Gateway

# Ends the WSGI layer sees as exceptions, and ends that only the root can see.
CAUGHT = ("exception", "sys_exit", "recursion", "memory_limit")
CRASHES = (
    "os_exit", "exit_code", "abort", "segfault", "segfault_with_lock", "segfault_in_thread",
    "crash_in_malloc", "floating_point", "illegal_instruction", "stack_overflow", "kill",
    "terminate", "become_program",
)  # fmt: skip
HANGS = ("stuck_in_python", "stuck_in_c", "stuck_deaf", "stopped")


def _ask(connection: Connection, target: str) -> None:
    connection.send(get(target, fastcgi.KEEP_CONN))


def _is_never_used_again(connection: Connection, why: str) -> None:
    assert connection.closed_by_peer(), f"{why}: the connection was kept"


def before_headers(gateway: Gateway) -> None:
    """A context that dies before its headers yields one complete 500, and its connection ends.

    The next request gets a whole answer.
    """
    for end in (*CRASHES, *HANGS):
        with gateway.connect() as connection:
            _ask(connection, f"/do?end={end}")
            answer = connection.answer()
            assert answer.complete, f"{end}: {answer}"
            assert answer.status == 500, f"{end}: {answer}"
            _is_never_used_again(connection, end)
        state(gateway)


def exceptions_before_headers(gateway: Gateway) -> None:
    """An exception that leaves the application yields one complete 500, SystemExit too."""
    for end in CAUGHT:
        answer = gateway.get(f"/do?end={end}")
        assert answer.complete, f"{end}: {answer}"
        assert answer.status == 500, f"{end}: {answer}"
        assert b"Traceback" not in answer.body
        state(gateway)


def in_the_middle(gateway: Gateway) -> None:
    """A context that dies after its headers yields a cut answer: no END_REQUEST, no more bytes."""
    for end in (*CAUGHT, *CRASHES, "stuck_in_python"):
        with gateway.connect() as connection:
            _ask(connection, f"/middle?{end}")
            answer = connection.answer()
            assert answer.status == 200, f"{end}: {answer}"
            assert answer.body == b"begun " * 100, f"{end}: {answer}"
            assert answer.cut, f"{end}: nginx would take it for a whole answer: {answer}"
            assert not answer.ends, f"{end}: looks complete: {answer}"
            assert not answer.stream_ended, f"{end}: looks complete: {answer}"


def in_close(gateway: Gateway) -> None:
    """A context that dies in the body's close() yields a whole answer or a cut one, never two."""
    for end in ("exception", *CRASHES):
        with gateway.connect() as connection:
            _ask(connection, f"/closing?{end}")
            answer = connection.answer()
            assert answer.body == b"first second", f"{end}: {answer}"
            assert answer.complete or answer.closed, f"{end}: {answer}"
            if answer.complete and end != "exception":
                _is_never_used_again(connection, end)


def in_after_response(gateway: Gateway) -> None:
    """A context that dies in an after_response hook has answered; its connection ends."""
    for end in (*CRASHES, "stuck_in_python"):
        with gateway.connect() as connection:
            _ask(connection, f"/after?{end}")
            answer = connection.answer()
            assert answer.complete, f"{end}: {answer}"
            assert answer.status == 200, f"{end}: {answer}"
            _is_never_used_again(connection, end)


def in_after_restore(gateway: Gateway) -> None:
    """A context that dies in an after_restore hook yields one complete 500."""
    order = gateway.folder / "after_restore"
    gateway.get("/do?end=kill")  # so that engines that go on in one process start a new one
    try:
        for end in ("exception", "os_exit", "segfault_with_lock", "crash_in_malloc", "stopped"):
            order.write_text(end)
            answer = gateway.get("/state")
            assert answer.complete, f"{end}: {answer}"
            assert answer.status == 500, f"{end}: {answer}"
            gateway.get("/do?end=kill")
    finally:
        order.unlink()
    gateway.get("/do?end=kill")
    assert gateway.get("/state").status == 200


def one_answer_from_two_processes(gateway: Gateway) -> None:
    """Where parent and child both leave the application, the parent's answer counts."""
    for end in ("goes_on", "exception", "sys_exit"):
        with gateway.connect() as connection:
            _ask(connection, f"/twice?{end}")
            assert connection.answer().json() == "parent"
            connection.send(fastcgi.record(fastcgi.GET_VALUES, 0))
            record = connection.receive()
            # Nothing of a second answer lies between.
            assert record is None or record.type == fastcgi.GET_VALUES_RESULT


def a_whole_answer_keeps_its_connection(gateway: Gateway) -> None:
    """A hundred requests run over one connection, each with one answer of its own."""
    with gateway.connect() as connection:
        for number in range(100):
            answer = connection.post("/echo", b"%d" % number, keep=True)
            assert answer.complete
            assert answer.body == b"%d" % number


CHECKS = (
    before_headers,
    exceptions_before_headers,
    in_the_middle,
    in_close,
    in_after_response,
    in_after_restore,
    one_answer_from_two_processes,
    a_whole_answer_keeps_its_connection,
)
