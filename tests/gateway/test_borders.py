# SPDX-License-Identifier: MIT
"""Where one request ends and the next begins on a kept connection, whatever arrives when."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from tests.harness import fastcgi, until
from tests.harness.client import variables

if TYPE_CHECKING:
    from tests.harness import Connection, Gateway

_WHOLE = fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(variables("/environment").items()))


def _next_is_answered(connection: Connection) -> None:
    connection.send(fastcgi.begin(1, flags=fastcgi.KEEP_CONN), _WHOLE)
    connection.send(fastcgi.record(fastcgi.STDIN, 1))
    answer = connection.answer()
    assert answer.complete, answer
    assert answer.status == 200, answer


def test_a_body_nobody_read_does_not_swallow_the_next_request(served: Gateway) -> None:
    """The rest of an unread body is dropped up to its end, and not a byte further."""
    with served.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for _ in range(5):
            params = variables("/environment", "POST", b"x" * 350_000)
            connection.send(
                fastcgi.begin(1, flags=fastcgi.KEEP_CONN),
                fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(params.items())),
                fastcgi.closed_stream(fastcgi.STDIN, 1, b"x" * 350_000),
            )
            assert connection.answer().complete
            _next_is_answered(connection)


def test_a_body_may_be_left_unfinished(served: Gateway) -> None:
    """After its answer a request is over, whatever of its body never came (section 3.3).

    Apache stops sending a body when it has the answer, and puts the next request there.
    """
    params = fastcgi.pairs(variables("/environment", "POST", b"x" * 350_000).items())
    with served.connect() as connection:
        for number in range(4):
            connection.send(
                fastcgi.begin(1, flags=fastcgi.KEEP_CONN),
                fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
                fastcgi.stream(fastcgi.STDIN, 1, b"x" * 1000 * number),
            )
            assert connection.answer().complete
            _next_is_answered(connection)
            assert not connection.dismissed()


def test_a_body_left_unfinished_holds_nobody_up(served: Gateway) -> None:
    """While a connection may or may not go on with its body, the worker serves others."""
    params = fastcgi.pairs(variables("/environment", "POST", b"x" * 350_000).items())
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(1, flags=fastcgi.KEEP_CONN),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
        )
        assert connection.answer().complete
        before = served.get("/environment").json()["environ"]["lwcgi.request_id"]
        connection.send(fastcgi.stream(fastcgi.STDIN, 1, b"x" * 100_000))
        after = served.get("/environment").json()["environ"]["lwcgi.request_id"]
        assert int(after[-6:]) == int(before[-6:]) + 1, "what came late was taken for a request"
        _next_is_answered(connection)


def test_a_body_of_the_wrong_length_holds_nobody_up(served: Gateway) -> None:
    """A body longer than announced is refused at once, and the next client served at once."""
    served.get("/environment")
    started = time.monotonic()
    for _ in range(5):
        assert served.post("/echo", b"hello", CONTENT_LENGTH="3").status == 400
        assert served.get("/environment").status == 200
    # Each of the five used to block the worker for the two seconds a drain may take.
    assert time.monotonic() - started < 8


def test_padding_that_comes_late_is_not_a_header(served: Gateway) -> None:
    """Padding of the last record may arrive after the answer."""
    with served.connect() as connection:
        connection.send(fastcgi.begin(1, flags=fastcgi.KEEP_CONN), _WHOLE)
        connection.send(fastcgi.record(fastcgi.STDIN, 1, b"", bytes(8))[:-8])
        assert connection.answer().complete
        connection.send(bytes(8))
        _next_is_answered(connection)


def test_a_management_record_in_pieces_leaves_no_clock_behind(served: Gateway) -> None:
    """A GET_VALUES that came in two pieces is over once it is answered."""
    query = fastcgi.record(fastcgi.GET_VALUES, 0, fastcgi.pair(b"FCGI_MPXS_CONNS", b""))
    with served.connect() as connection:
        connection.send(query[:10])
        time.sleep(0.1)
        connection.send(query[10:])
        record = connection.receive()
        assert record is not None
        assert record.type == fastcgi.GET_VALUES_RESULT
        time.sleep(10.5)  # the clock of an unfinished request runs for ten seconds
        connection.send(fastcgi.begin(1, flags=fastcgi.KEEP_CONN), _WHOLE[:20])
        time.sleep(0.2)
        connection.send(_WHOLE[20:], fastcgi.record(fastcgi.STDIN, 1))
        assert connection.answer().complete


def test_an_unfinished_request_is_finished_by_a_free_worker(served: Gateway) -> None:
    """The second half of a request is not held up by the request its worker runs meanwhile."""
    with served.another(options={"workers": 2, "timeout": "30s"}) as gateway:
        until(lambda: len(gateway.workers()) == 2, "two workers")
        halves = [gateway.connect() for _ in range(4)]
        for connection in halves:
            connection.send(fastcgi.begin(1), _WHOLE[:20])
            time.sleep(0.05)
        with gateway.connect() as busy:
            sleep = fastcgi.pairs(variables("/wait?for-ever").items())
            busy.send(fastcgi.begin(1), fastcgi.closed_stream(fastcgi.PARAMS, 1, sleep))
            busy.send(fastcgi.record(fastcgi.STDIN, 1))
            until((gateway.folder / "for-ever.started").exists, "one worker to be busy")
            for connection in halves:
                connection.send(_WHOLE[20:], fastcgi.record(fastcgi.STDIN, 1))
            for connection in halves:
                assert connection.answer().complete
                connection.close()
