# SPDX-License-Identifier: MIT
"""The web server's side of FastCGI, with no I/O: builders, and a decoder that forgives nothing.

Source: FastCGI Specification 1.0, sections 3 to 5 and 8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = range(4)
KEEP_CONN = 1
MAX_CONTENT, MAX_PADDING = 65535, 255
CUT = 0
"""Type of a record whose header is all zeros: no FastCGI at all, on purpose. A web server that would
take the mere end of the connection for the end of the answer gives up at this."""

_HEADER = struct.Struct(">BBHHBB")


class ProtocolError(AssertionError):
    """The gateway sent what FastCGI forbids."""


@dataclass(frozen=True)
class Record:
    """One record.

    Parameters:
        type: one of the constants above.
        id: request id, 0 for management records.
        content: 0 to 65535 bytes.
        padding: length of the padding, 0 to 255 bytes.
    """

    type: int
    id: int
    content: bytes
    padding: int = 0


def record(
    kind: int, request_id: int, content: bytes = b"", padding: bytes = b"", version: int = 1
) -> bytes:
    """Return one record as bytes, unchecked so that tests can send nonsense too."""
    head = _HEADER.pack(version, kind, request_id, len(content), len(padding), 0)
    return head + content + padding


def begin(request_id: int = 1, role: int = RESPONDER, flags: int = 0) -> bytes:
    """Return a BEGIN_REQUEST record."""
    return record(BEGIN_REQUEST, request_id, struct.pack(">HB5x", role, flags))


def abort(request_id: int = 1) -> bytes:
    """Return an ABORT_REQUEST record."""
    return record(ABORT_REQUEST, request_id)


def length(number: int, long: bool = False) -> bytes:
    """Return a length of a name-value pair, of four bytes where it must be or *long* is set."""
    if number < 128 and not long:
        return bytes([number])
    return struct.pack(">I", number | 0x80000000)


def pair(name: bytes, value: bytes) -> bytes:
    """Return one name-value pair."""
    return length(len(name)) + length(len(value)) + name + value


def pairs(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return name-value pairs."""
    return b"".join(pair(name, value) for name, value in items)


def stream(kind: int, request_id: int, data: bytes, size: int = 32768) -> bytes:
    """Return *data* as records of *size* bytes, without the empty record that ends a stream."""
    starts = range(0, len(data), size)
    return b"".join(record(kind, request_id, data[at : at + size]) for at in starts)


def closed_stream(kind: int, request_id: int, data: bytes, size: int = 32768) -> bytes:
    """Return *data* as a whole stream with its end."""
    return stream(kind, request_id, data, size) + record(kind, request_id)


def parse_pairs(data: bytes) -> dict[bytes, bytes]:
    """Return the pairs of a GET_VALUES_RESULT.

    Raises:
        ProtocolError: a length runs past the end.
    """
    result, at = {}, 0
    while at < len(data):
        sizes = []
        for _ in range(2):
            wide = data[at] >> 7
            sizes.append(int.from_bytes(data[at : at + 4]) & 0x7FFFFFFF if wide else data[at])
            at += 4 if wide else 1
        name, value = data[at : at + sizes[0]], data[at + sizes[0] : at + sum(sizes)]
        at += sum(sizes)
        if at > len(data):
            raise ProtocolError(f"a pair runs past the end of {data!r}")
        result[name] = value
    return result


def end_status(content: bytes) -> tuple[int, int]:
    """Return (application status, protocol status) of an END_REQUEST.

    Raises:
        ProtocolError: wrong length, or reserved bytes that are not zero.
    """
    if len(content) != 8 or content[5:] != bytes(3):
        raise ProtocolError(f"END_REQUEST with content {content!r}")
    return int.from_bytes(content[:4]), content[4]


class Decoder:
    """Cuts what a gateway sends into records."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a record that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Record]:
        """Return the records that *data* completes.

        Raises:
            ProtocolError: wrong version, or bytes that should be zero and are not: what was left
                in memory must not leave it.
        """
        self._buffer += data
        records = []
        while len(self._buffer) >= 8:
            version, kind, request_id, size, padding, reserved = _HEADER.unpack_from(self._buffer)
            if not any(self._buffer[:8]):
                records.append(Record(CUT, 0, b""))
                del self._buffer[:8]
                continue
            if version != 1 or reserved != 0:
                raise ProtocolError(f"record header {bytes(self._buffer[:8])!r}")
            end = 8 + size + padding
            if len(self._buffer) < end:
                break
            if any(self._buffer[8 + size : end]):
                raise ProtocolError("padding that is not zero")
            records.append(Record(kind, request_id, bytes(self._buffer[8 : 8 + size]), padding))
            del self._buffer[:end]
        return records
