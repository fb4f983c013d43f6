# SPDX-License-Identifier: MIT
"""Promise 9: no byte of one request is readable by a later one, in its own memory or the root's.

The mark is a unit of eight bytes, repeated: any eight bytes in a row of it, at any offset, are one
of eight rotations, so that a piece as small as a register is found.
"""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING

from tests.apps.residue import ADD_ONE
from tests.harness import fastcgi
from tests.harness.client import variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness import Gateway


def _mark() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))


def _query(mark: str) -> str:
    needles = [(mark[at:] + mark[:at]).encode().translate(ADD_ONE).hex() for at in range(8)]
    return "&".join(f"needle={needle}" for needle in needles)


def _search(gateway: Gateway, mark: str, **more: str) -> dict[str, list[str]]:
    return gateway.get(f"/search?{_query(mark)}", **more).json()  # type: ignore[no-any-return]


def _is_gone(gateway: Gateway, mark: str, how: str) -> None:
    found = {name: places for name, places in _search(gateway, mark).items() if places}
    assert not found, f"bytes of {how} are still in memory: {found}"


def the_search_can_find(gateway: Gateway) -> None:
    """A mark in the searching request itself is found: in the context, and in the root."""
    mark = _mark()
    found = _search(gateway, mark, HTTP_X_MARK=mark * 4)
    assert found["self"]
    assert found.get("root", ["may not be read"])


def an_answered_request_is_gone(gateway: Gateway) -> None:
    """Parameters, body and answer of a request that went well."""
    mark = _mark()
    answer = gateway.post(f"/echo?{mark * 100}", mark.encode() * 40_000, HTTP_X_ECHO=mark * 500)
    assert answer.status == 200
    assert answer.body == mark.encode() * 40_000
    _is_gone(gateway, mark, "an answered request")


def a_kept_connection_keeps_nothing(gateway: Gateway) -> None:
    """Two requests on one connection share no byte either."""
    mark = _mark()
    with gateway.connect() as connection:
        params = {"HTTP_X_ECHO": mark * 500}
        answer = connection.post(f"/echo?{mark}", mark.encode() * 5_000, keep=True, **params)
        assert answer.status == 200
        found = connection.get(f"/search?{_query(mark)}").json()
    assert not any(found.values()), found


def a_failed_request_is_gone(gateway: Gateway) -> None:
    """Parameters, body and answer of requests that ended badly, or left something behind."""
    for target in (
        "/do?end=abort", "/do?end=exception", "/do?end=stuck_in_c", "/middle?segfault",
        "/do?act=change_directory", "/do?act=leave_child&act=open_hundreds",
    ):  # fmt: skip
        mark = _mark()
        gateway.post(f"{target}", mark.encode() * 5_000, HTTP_X_ECHO=mark * 500)
        _is_gone(gateway, mark, target)


def an_unfinished_request_is_out_of_sight(gateway: Gateway) -> None:
    """A request of which a part has arrived is in no memory another request can read."""
    mark = _mark()
    params = fastcgi.pairs(variables(f"/echo?{mark * 100}", HTTP_X_ECHO=mark * 500).items())
    with gateway.connect() as connection:
        connection.send(fastcgi.begin(), fastcgi.stream(fastcgi.PARAMS, 1, params))
        _is_gone(gateway, mark, "an unfinished request")
    _is_gone(gateway, mark, "a request that was never finished")


def a_waiting_request_is_out_of_sight(gateway: Gateway) -> None:
    """Bytes of a second request that came in one piece with the first are not read with it."""
    mark = _mark()
    first = variables(f"/search?{_query(mark)}")
    second = variables(f"/echo?{mark * 100}", HTTP_X_ECHO=mark * 500)
    with gateway.connect() as connection:
        connection.send(
            fastcgi.begin(1, flags=fastcgi.KEEP_CONN),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(first.items())),
            fastcgi.closed_stream(fastcgi.STDIN, 1, b""),
            fastcgi.begin(2, flags=fastcgi.KEEP_CONN),
            fastcgi.closed_stream(fastcgi.PARAMS, 2, fastcgi.pairs(second.items())),
            fastcgi.closed_stream(fastcgi.STDIN, 2, mark.encode() * 100),
        )
        refusal = connection.receive()
        answer = connection.answer(1)
    assert refusal is not None
    assert refusal == fastcgi.Record(
        fastcgi.END_REQUEST, 2, bytes((0, 0, 0, 0, fastcgi.CANT_MPX_CONN, 0, 0, 0)), 0
    )
    found = answer.json()
    assert not any(found.values()), found


def a_body_that_came_late_is_out_of_sight(gateway: Gateway) -> None:
    """The rest of a body, which came after its answer, is not read with the next request."""
    mark = _mark()
    late = variables("/environment", "POST", bytes(100_000))
    search = variables(f"/search?{_query(mark)}")
    with gateway.connect() as connection:
        connection.send(
            fastcgi.begin(flags=fastcgi.KEEP_CONN),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(late.items())),
            fastcgi.stream(fastcgi.STDIN, 1, b"x" * 1000),
        )
        assert connection.answer().status == 200
        connection.send(
            fastcgi.stream(fastcgi.STDIN, 1, mark.encode() * 2000),
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(search.items())),
            fastcgi.closed_stream(fastcgi.STDIN, 1, b""),
        )
        found = connection.answer().json()
    assert not any(found.values()), found


def a_refused_request_is_gone(gateway: Gateway) -> None:
    """Requests the gateway refuses by itself leave nothing behind."""
    mark = _mark()
    text = mark.encode() * 500
    refused: dict[str, Callable[[], object]] = {
        "a bad length": lambda: gateway.get(f"/echo?{mark}", CONTENT_LENGTH="x" + mark),
        "a NUL": lambda: gateway.get("/echo", HTTP_X_ECHO=f"{mark * 100}\0{mark}"),
        "too many parameters": lambda: gateway.get("/echo", HTTP_X_ECHO=mark * 50_000),
        "a short body": lambda: gateway.post("/echo", text, CONTENT_LENGTH="100000"),
        "a long body": lambda: gateway.post("/echo", text, CONTENT_LENGTH="10"),
    }
    for how, send in refused.items():
        send()
        _is_gone(gateway, mark, how)


CHECKS = (
    the_search_can_find,
    an_answered_request_is_gone,
    a_kept_connection_keeps_nothing,
    a_failed_request_is_gone,
    an_unfinished_request_is_out_of_sight,
    a_waiting_request_is_out_of_sight,
    a_body_that_came_late_is_out_of_sight,
    a_refused_request_is_gone,
)
