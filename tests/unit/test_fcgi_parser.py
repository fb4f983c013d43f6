# SPDX-License-Identifier: MIT
"""The FastCGI parser and builders of the C core, byte by byte (FastCGI 1.0, section 3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwcgi._core._lwcgi import ffi, lib

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
KINDS = {
    getattr(lib, f"FCGI_EV_{name}"): name
    for name in (
        [
            "NEED_MORE",
            "BEGIN",
            "ABORT",
            "PARAMS",
            "STDIN",
            "DATA",
            "GET_VALUES",
            "UNKNOWN_TYPE",
            "IGNORED",
            "ERROR",
        ]
    )
}
STREAMS = {"PARAMS", "STDIN", "DATA"}


def record(kind: int, content: bytes = b"", request_id: int = 1, padding: int = 0) -> bytes:
    """Return one record, its padding filled with bytes that would show if they were read."""
    header = struct.pack(">BBHHBB", 1, kind, request_id, len(content), padding, 0)
    return header + content + b"\xa5" * padding


@dataclass
class Event:
    """One event, stream slices of one record joined."""

    kind: str
    request_id: int
    data: bytes
    end: bool
    detail: tuple[int, int, int]


class Parser:
    """The C parser, its input laid at the end of a buffer."""

    def __init__(self) -> None:
        self._parser = ffi.new("struct fcgi_parser *")
        self.error = ""
        lib.fcgi_reset(self._parser)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events of *data*, up to an error."""
        buffer = ffi.new("uint8_t[]", data) if data else ffi.new("uint8_t[1]")
        at = ffi.new("uint8_t **", buffer)
        end = buffer + len(data)
        event = ffi.new("struct fcgi_event *")
        events: list[Event] = []
        while True:
            kind = KINDS[lib.fcgi_next(self._parser, at, end, event)]
            if kind == "NEED_MORE":
                return events
            if kind == "ERROR":
                self.error = ffi.string(event.error).decode()
                return events
            content = ffi.buffer(event.data, event.len)[:] if event.len else b""
            detail = (event.role, event.flags, event.type if kind == "UNKNOWN_TYPE" else 0)
            events.append(Event(kind, event.id, content, bool(event.end), detail))


def joined(events: list[Event]) -> list[Event]:
    """Return *events* with neighbouring slices of one stream put together."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if (
            last
            and event.kind in STREAMS
            and last.kind == event.kind
            and last.request_id == event.request_id
            and not last.end
            and not event.end
        ):
            last.data += event.data
        else:
            out.append(Event(**vars(event)))
    return out


records = st.builds(
    record,
    st.sampled_from([ABORT, PARAMS, STDIN, DATA, STDOUT, STDERR]),
    st.binary(max_size=300),
    st.integers(1, 3),
    st.integers(0, 255),
) | st.builds(
    record,
    st.just(BEGIN),
    st.binary(min_size=8, max_size=8),
    st.integers(1, 3),
    st.integers(0, 255),
)


@given(st.lists(records, max_size=8), st.data())
def test_events_do_not_depend_on_how_the_bytes_arrive(parts: list[bytes], data: st.DataObject):
    """Any cutting of the same bytes gives the same events."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole = joined(Parser().feed(stream))
    parser = Parser()
    pieces: list[Event] = []
    for first, last in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pieces += parser.feed(stream[first:last])
    assert whole == joined(pieces)
    bytewise = Parser()
    assert whole == joined([e for byte in stream for e in bytewise.feed(bytes([byte]))])


@given(st.binary(max_size=2000))
def test_any_bytes_are_taken_without_harm(noise: bytes):
    """Noise gives events or an error, and never more stream bytes than went in."""
    events = Parser().feed(noise)
    assert sum(len(e.data) for e in events) <= len(noise)


def test_largest_record_with_largest_padding():
    """65535 bytes of content and 255 of padding are one record (HAProxy 598527673)."""
    follow = record(STDIN)
    events = joined(Parser().feed(record(STDIN, b"x" * 65535, padding=255) + follow))
    assert [(e.kind, len(e.data), e.end) for e in events] == [
        ("STDIN", 65535, False),
        ("STDIN", 0, True),
    ]


def test_content_that_looks_like_records_stays_content():
    """Bytes inside a record are never parsed as records (HAProxy 0aeae2305)."""
    inner = record(BEGIN, b"\0\1\0\0\0\0\0\0", 2) + record(PARAMS, b"x", 2)
    events = joined(Parser().feed(record(STDIN, inner)))
    assert [("STDIN", 1, inner)] == [(e.kind, e.request_id, e.data) for e in events]


def test_begin_request_carries_role_and_flags():
    """BEGIN_REQUEST gives role, flags and id."""
    (event,) = Parser().feed(record(BEGIN, b"\0\2\1\0\0\0\0\0", 0x1234))
    assert (event.kind, event.request_id, event.detail) == ("BEGIN", 0x1234, (2, 1, 0))


def test_unknown_management_type_is_reported_with_its_type():
    """A management record of unknown type asks for UNKNOWN_TYPE."""
    (event,) = Parser().feed(record(77, b"abc", 0))
    assert (event.kind, event.detail[2]) == ("UNKNOWN_TYPE", 77)


def test_unknown_application_type_is_ignored():
    """An application record of unknown type is skipped, content and all."""
    events = Parser().feed(record(77, b"abc", 1) + record(ABORT))
    assert [e.kind for e in events] == ["IGNORED", "ABORT"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"\x02" + record(STDIN)[1:], "version"),
        (record(0), "type 0"),
        (record(STDIN, request_id=0), "id 0"),
        (record(PARAMS, request_id=0), "id 0"),
        (record(GET_VALUES, request_id=1), "with a request id"),
        (record(BEGIN, b"\0\1\0"), "8 bytes"),
        (record(BEGIN, b"\0\1\0\0\0\0\0\0\0\0"), "8 bytes"),
        (record(GET_VALUES, b"x" * 600, 0), "GET_VALUES"),
    ],
)
def test_a_wrong_header_is_an_error_that_says_what_is_wrong(wrong: bytes, why: str):
    """Each malformed header is refused before its content is looked at."""
    parser = Parser()
    assert parser.feed(wrong) == []
    assert why in parser.error


def build(function: str, *args: object, room: int = 256) -> bytes:
    """Return what a builder writes into a buffer full of junk."""
    buffer = ffi.new("uint8_t[]", b"\xcc" * room)
    size = getattr(lib, function)(buffer, *args)
    assert buffer[size] == 0xCC, "wrote past the size it returned"
    return ffi.buffer(buffer, size)[:]


def test_builders_leave_no_byte_unset():
    """Reserved bytes are zero, never stale memory (HAProxy 2e6bf0a27)."""
    assert build("fcgi_header", STDOUT, 0x1234, 0x102, 6) == b"\1\6\x12\x34\x01\x02\x06\0"
    assert (
        build("fcgi_end_request", 7, 0x01020304, 2)
        == b"\1\3\0\7\0\x08\0\0" + b"\x01\x02\x03\x04\x02\0\0\0"
    )
    assert build("fcgi_unknown_type", 77) == b"\1\x0b\0\0\0\x08\0\0" + b"\x4d\0\0\0\0\0\0\0"


def pair(name: bytes, value: bytes = b"") -> bytes:
    """Return one name-value pair with one-byte lengths."""
    return bytes([len(name), len(value)]) + name + value


def test_get_values_answers_known_names_once():
    """Known names get their value, unknown ones are left out, repeats answered once."""
    query = pair(b"FCGI_MPXS_CONNS") + pair(b"WHAT") + pair(b"FCGI_MAX_REQS") * 2
    content = pair(b"FCGI_MPXS_CONNS", b"0") + pair(b"FCGI_MAX_REQS", b"4")
    assert record(10, content, 0) == build("fcgi_values", query, len(query), 1000, 4)
    everything = pair(b"FCGI_MAX_CONNS") + pair(b"FCGI_MAX_REQS") + pair(b"FCGI_MPXS_CONNS")
    full = build("fcgi_values", everything, len(everything), 4294967295, 4294967295)
    assert len(full) <= lib.FCGI_VALUES_MAX


def test_malformed_get_values_has_no_answer():
    """A pair that runs past the end of GET_VALUES is refused."""
    assert build("fcgi_values", b"\x20\x00FCGI", 6, 1, 1) == b""
