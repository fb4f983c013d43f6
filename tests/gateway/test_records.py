# SPDX-License-Identifier: MIT
"""FastCGI records, management records, ids and roles (FastCGI Specification 1.0, sections 3 to 5).

One test a line of the list of other implementations' bugs, whose names stand in the docstrings.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.harness import fastcgi
from tests.harness.client import variables

if TYPE_CHECKING:
    from tests.harness import Connection, Gateway

KEEP = fastcgi.KEEP_CONN


def _params(target: str = "/environment", request_id: int = 1, **more: str) -> bytes:
    data = fastcgi.pairs(variables(target, **more).items())
    return fastcgi.closed_stream(fastcgi.PARAMS, request_id, data)


def _request(target: str = "/environment", request_id: int = 1, flags: int = KEEP) -> bytes:
    begin = fastcgi.begin(request_id, flags=flags)
    return begin + _params(target, request_id) + fastcgi.record(fastcgi.STDIN, request_id)


def _still_serves(connection: Connection) -> None:
    connection.send(_request("/environment?again"))
    assert connection.answer().json()["environ"]["QUERY_STRING"] == "again"


def _is_refused(served: Gateway, *data: bytes) -> None:
    """The connection ends without an answer to it, and the gateway goes on."""
    with served.connect() as connection:
        connection.send(*data)
        assert connection.closed_by_peer()
    assert served.get("/environment").status == 200


QUERY = fastcgi.pairs(
    [(name, b"") for name in (b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS")]
)


def test_get_values(served: Gateway) -> None:
    """GET_VALUES is answered with the three values of the specification, unknown names left out."""
    with served.connect() as connection:
        connection.send(
            fastcgi.record(fastcgi.GET_VALUES, 0, QUERY + fastcgi.pair(b"UNKNOWN", b""))
        )
        record = connection.receive()
        assert record
        assert (record.type, record.id) == (fastcgi.GET_VALUES_RESULT, 0)
        values = fastcgi.parse_pairs(record.content)
        assert values.keys() == {b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"}
        assert values[b"FCGI_MPXS_CONNS"] == b"0"
        assert int(values[b"FCGI_MAX_CONNS"]) >= int(values[b"FCGI_MAX_REQS"]) >= 1
        _still_serves(connection)


def test_get_values_of_nothing_known(served: Gateway) -> None:
    """GET_VALUES without a known name is answered with no value."""
    with served.connect() as connection:
        for query in (b"", fastcgi.pair(b"UNKNOWN", b"")):
            connection.send(fastcgi.record(fastcgi.GET_VALUES, 0, query))
            record = connection.receive()
            assert record
            assert (record.type, record.content) == (fastcgi.GET_VALUES_RESULT, b"")


def test_get_values_at_any_time(served: Gateway) -> None:
    """GET_VALUES in the middle of a request is answered by the gateway, not by the application."""
    query = fastcgi.record(fastcgi.GET_VALUES, 0, QUERY)
    params = fastcgi.pairs(variables("/echo", "POST", b"body").items())
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(flags=KEEP), query, fastcgi.stream(fastcgi.PARAMS, 1, params), query
        )
        for _ in range(2):
            record = connection.receive()
            assert record
            assert record.type == fastcgi.GET_VALUES_RESULT
        connection.send(
            fastcgi.record(fastcgi.PARAMS, 1), fastcgi.closed_stream(fastcgi.STDIN, 1, b"body")
        )
        assert connection.answer().body == b"body"
        _still_serves(connection)


def test_get_values_cut_off(served: Gateway) -> None:
    """A GET_VALUES whose pair runs past its end ends the connection."""
    _is_refused(served, fastcgi.record(fastcgi.GET_VALUES, 0, b"\x0e\x00FCGI_MAX"))


@pytest.mark.parametrize("kind", [12, 100, 255])
def test_unknown_type(served: Gateway, kind: int) -> None:
    """A management record of an unknown type is answered with UNKNOWN_TYPE and its number."""
    with served.connect() as connection:
        connection.send(fastcgi.record(kind, 0, b"what is this", b"\0" * 4))
        record = connection.receive()
        assert record == fastcgi.Record(fastcgi.UNKNOWN_TYPE, 0, bytes([kind]) + bytes(7))
        _still_serves(connection)


@pytest.mark.parametrize("role", [0, fastcgi.FILTER, 4, 65535])
def test_unknown_role(served: Gateway, role: int) -> None:
    """A role other than Responder and Authorizer is refused; the connection is kept if asked."""
    with served.connect() as connection:
        connection.send(fastcgi.begin(1, role, KEEP), _params(), fastcgi.record(fastcgi.STDIN, 1))
        assert connection.answer().ends == [(0, fastcgi.UNKNOWN_ROLE)]
        _still_serves(connection)


def test_unknown_role_without_keep_conn(served: Gateway) -> None:
    """After refusing a role the gateway closes a connection that is not to be kept."""
    with served.connect() as connection:
        connection.send(fastcgi.begin(1, 77))
        assert connection.answer().ends == [(0, fastcgi.UNKNOWN_ROLE)]
        assert connection.closed_by_peer()


def test_authorizer(served: Gateway) -> None:
    """An Authorizer gets no body and answers with variables for the web server."""
    with served.connect() as connection:
        connection.send(fastcgi.begin(1, fastcgi.AUTHORIZER, KEEP), _params("/authorize"))
        answer = connection.answer()
        assert answer.complete
        assert answer.header("Variable-WHO") == "anna"
        assert answer.body == b"AUTHORIZER"
        _still_serves(connection)


def test_keep_conn(served: Gateway) -> None:
    """With KEEP_CONN the connection stays for more requests, without it the gateway closes."""
    with served.connect() as connection:
        for _ in range(3):
            _still_serves(connection)
        connection.send(_request(flags=0))
        assert connection.answer().complete
        assert connection.closed_by_peer()


@pytest.mark.parametrize("request_id", [1, 2, 255, 256, 65535])
def test_ids(served: Gateway, request_id: int) -> None:
    """Any id from 1 to 65535 is good, and every record of the answer carries it."""
    with served.connect() as connection:
        connection.send(_request(request_id=request_id))
        assert connection.answer(request_id).complete


@pytest.mark.parametrize("kind", [fastcgi.BEGIN_REQUEST, fastcgi.PARAMS, fastcgi.STDIN])
def test_id_zero(served: Gateway, kind: int) -> None:
    """An application record with id 0 is refused (HAProxy 3ac082b2b)."""
    _is_refused(served, fastcgi.record(kind, 0, bytes(8)))


def test_second_request_at_once(served: Gateway) -> None:
    """A second BEGIN_REQUEST gets CANT_MPX_CONN; the first request is answered as if alone."""
    with served.connect() as connection:
        body = b"the first body"
        params = fastcgi.pairs(variables("/echo", "POST", body).items())
        connection.send(
            fastcgi.begin(1, flags=KEEP),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
            fastcgi.begin(2, flags=KEEP),
        )
        record = connection.receive()
        assert record
        assert (record.type, record.id) == (fastcgi.END_REQUEST, 2)
        assert fastcgi.end_status(record.content) == (0, fastcgi.CANT_MPX_CONN)
        connection.send(fastcgi.closed_stream(fastcgi.STDIN, 1, body))
        assert connection.answer(1).body == body
        _still_serves(connection)


def test_ids_do_not_mix(served: Gateway) -> None:
    """Records of another id add nothing to a request (uWSGI merges them)."""
    body, other = b"mine" * 5, b"not mine"
    params = fastcgi.pairs(variables("/echo", "POST", body, HTTP_X_ECHO="right").items())
    wrong = fastcgi.pairs([(b"HTTP_X_ECHO", b"wrong")])
    with served.connect() as connection:
        connection.send(
            fastcgi.record(fastcgi.PARAMS, 9, wrong),
            fastcgi.begin(1, flags=KEEP),
            fastcgi.record(fastcgi.PARAMS, 9, wrong),
            fastcgi.stream(fastcgi.PARAMS, 1, params),
            fastcgi.record(fastcgi.PARAMS, 9),
            fastcgi.record(fastcgi.PARAMS, 1),
            fastcgi.record(fastcgi.STDIN, 1, body[:10]),
            fastcgi.record(fastcgi.STDIN, 9, other),
            fastcgi.record(fastcgi.STDIN, 9),
            fastcgi.abort(9),
            fastcgi.record(fastcgi.STDIN, 1, body[10:]),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        answer = connection.answer()
        assert answer.body == body
        assert answer.header("X-Echo") == "right"


def test_inactive_ids_are_ignored(served: Gateway) -> None:
    """Records of a request that is not active mean nothing, before and after a request."""
    stray = [
        fastcgi.record(fastcgi.PARAMS, 5, b"\x01\x01ab"),
        fastcgi.record(fastcgi.STDIN, 5, b"stray"),
        fastcgi.record(fastcgi.DATA, 5, b"stray"),
        fastcgi.abort(5),
    ]
    with served.connect() as connection:
        connection.send(*stray)
        _still_serves(connection)
        connection.send(*stray)
        _still_serves(connection)


def test_one_byte_at_a_time(served: Gateway) -> None:
    """A request whose every byte comes by itself is read as any other (HAProxy 5f927f603)."""
    body = b"a small body"
    params = fastcgi.pairs(variables("/echo", "POST", body, HTTP_X_ECHO="slow").items())
    data = (
        fastcgi.begin()
        + fastcgi.closed_stream(fastcgi.PARAMS, 1, params)
        + fastcgi.closed_stream(fastcgi.STDIN, 1, body)
    )
    with served.connect() as connection:
        for byte in data:
            connection.send(bytes([byte]))
        answer = connection.answer()
    assert answer.body == body
    assert answer.header("X-Echo") == "slow"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pairs_split_over_records(served: Gateway, size: int) -> None:
    """A name-value pair may span records, of any size (php-fpm calls it malformed)."""
    params = fastcgi.pairs(variables("/environment", HTTP_X_LONG="v" * 300).items())
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, params, size),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        assert connection.answer().json()["environ"]["HTTP_X_LONG"] == "v" * 300


def test_four_byte_lengths(served: Gateway) -> None:
    """A short length may be written in four bytes."""
    pairs = fastcgi.pairs(variables("/environment").items())
    name, value = b"HTTP_X_LONG", b"short"
    long = fastcgi.length(len(name), True) + fastcgi.length(len(value), True) + name + value
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, pairs + long),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        assert connection.answer().json()["environ"]["HTTP_X_LONG"] == "short"


@pytest.mark.parametrize("padding", [0, 1, 7, 8, 255])
@pytest.mark.parametrize("size", [1, 8, 65528, 65535])
def test_padding(served: Gateway, size: int, padding: int) -> None:
    """Padding is skipped, also after the largest content (HAProxy 598527673: parsed as records).

    The padding looks like records that would end the request.
    """
    bait = (fastcgi.abort() * 32)[:padding]
    body = os.urandom(size)
    params = fastcgi.pairs(variables("/echo", "POST", body).items())
    with served.connect() as connection:
        connection.send(
            fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, 1, params, bait),
            fastcgi.record(fastcgi.PARAMS, 1, b"", bait),
            fastcgi.record(fastcgi.STDIN, 1, body, bait),
            fastcgi.record(fastcgi.STDIN, 1, b"", bait),
        )
        answer = connection.answer()
    assert answer.complete
    assert answer.body == body


def test_a_body_that_looks_like_records(served: Gateway) -> None:
    """What a body contains is never parsed (HAProxy 0aeae2305: a smuggled BEGIN_REQUEST)."""
    smuggled = _request("/environment?smuggled", 1) * 900
    assert len(smuggled) > 3 * 65536
    for size in (32768, 65535, 65528, 4096):
        params = fastcgi.pairs(variables("/echo", "POST", smuggled).items())
        with served.connect() as connection:
            connection.send(
                fastcgi.begin(),
                fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
                fastcgi.closed_stream(fastcgi.STDIN, 1, smuggled, size),
            )
            answer = connection.answer()
            assert answer.body == smuggled
            assert connection.closed_by_peer()


@pytest.mark.parametrize("version", [0, 2, 255])
def test_version(served: Gateway, version: int) -> None:
    """A record of a version other than 1 ends the connection (uWSGI, fcgisgi: not checked)."""
    _is_refused(served, fastcgi.record(fastcgi.BEGIN_REQUEST, 1, bytes(8), version=version))


@pytest.mark.parametrize("size", [0, 7, 9, 65535])
def test_begin_of_a_wrong_size(served: Gateway, size: int) -> None:
    """A BEGIN_REQUEST that is not eight bytes long ends the connection."""
    _is_refused(served, fastcgi.record(fastcgi.BEGIN_REQUEST, 1, bytes(size)))


def test_type_zero(served: Gateway) -> None:
    """A record of type 0 ends the connection."""
    _is_refused(served, fastcgi.record(0, 1, b"x"))


@pytest.mark.parametrize("kept", [1, 7, 8, 12, 16, 20, 40])
def test_end_inside_a_record(served: Gateway, kept: int) -> None:
    """A peer that closes inside a record costs nothing (HAProxy 5f927f603)."""
    with served.connect() as connection:
        connection.send((fastcgi.begin() + _params())[:kept])
    assert served.get("/environment").status == 200


def test_an_empty_answer_stream_is_ended_once(served: Gateway) -> None:
    """An answer without body still has one empty STDOUT record and one END_REQUEST."""
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(flags=KEEP),
            _params("/environment", REQUEST_METHOD="HEAD"),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        answer = connection.answer()
        assert answer.complete
        assert answer.stream_ended
        assert answer.body == b""
        _still_serves(connection)
