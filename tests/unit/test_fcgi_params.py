# SPDX-License-Identifier: MIT
"""Name-value pairs become CGI variables (FastCGI 1.0 section 3.4; RFC 3875)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwcgi._core._lwcgi import ffi, lib


def encode(pairs: list[tuple[bytes, bytes]], *, long: bool = False) -> bytes:
    """Return *pairs* on the wire, with four-byte lengths where needed or asked for."""

    def length(n: int) -> bytes:
        return bytes([n]) if n < 128 and not long else struct.pack(">I", n | 1 << 31)

    return b"".join(length(len(n)) + length(len(v)) + n + v for n, v in pairs)


def decode(data: bytes) -> list[tuple[bytes, bytes]] | int:
    """Return what the core makes of *data*: pairs in order, or its error."""
    # Exactly as large as promised, with a byte behind it that must not change.
    block = ffi.new("uint8_t[]", b"\xcc" * (len(data) + 1))
    scratch = ffi.new("struct pair[]", lib.PARAMS_MAX_PAIRS)
    known = ffi.new("struct params_known *")
    source = ffi.from_buffer(data)
    size = lib.params_decode(source, len(data), block, scratch, known)
    assert block[len(data)] == 0xCC, "wrote past the block"
    if size < 0:
        return int(size)
    parts = ffi.buffer(block, size)[:].split(b"\0")
    return list(zip(parts[:-1:2], parts[1::2], strict=True))


names = st.binary(min_size=1, max_size=200).filter(lambda b: b"\0" not in b)
values = st.binary(max_size=300).filter(lambda b: b"\0" not in b)


@given(st.dictionaries(names, values, max_size=20), st.booleans())
def test_distinct_pairs_come_through_in_order(pairs: dict[bytes, bytes], long: bool):
    """Names and values of any length come through unchanged, short or long form."""
    pairs.pop(b"HTTP_PROXY", None)
    assert list(pairs.items()) == decode(encode(list(pairs.items()), long=long))


@given(st.binary(max_size=600))
def test_noise_is_decoded_or_refused(noise: bytes):
    """Any bytes give pairs or an error, within the block."""
    result = decode(noise)
    assert isinstance(result, list) or result < 0


@pytest.mark.parametrize("size", [0, 127, 128, 1000, 65536])
def test_lengths_at_the_borders_of_the_encoding(size: int):
    """Lengths on both sides of one-byte and four-byte form (Go's net/http/fcgi cases)."""
    pairs = [(b"A", b"v" * size)]
    assert pairs == decode(encode(pairs))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\xff\xff\xff\xff",  # CVE-2025-23016: both lengths 2^31-1
        b"\xff\xff\xff\xff\xff\xff\xff\xff" + b"x" * 100,
        b"\x80\x00\x00",  # a length cut off
        b"\x01",
        b"\x05\x05abc",
        b"\x00\xff\xff\xff\xff",
    ],
)
def test_lengths_past_the_end_are_refused(data: bytes):
    """No length is believed that the bytes do not bear out."""
    assert decode(data) == lib.PARAMS_MALFORMED


def test_httpoxy_is_dropped():
    """HTTP_PROXY never reaches the application (CVE-2016-1000110)."""
    assert decode(encode([(b"HTTP_PROXY", b"evil"), (b"A", b"1")])) == [(b"A", b"1")]


def test_repeated_headers_are_joined():
    """Repeated HTTP_* variables are joined in order, cookies with a semicolon."""
    pairs = [
        (b"HTTP_X", b"1"),
        (b"HTTP_COOKIE", b"a=1"),
        (b"B", b""),
        (b"HTTP_X", b"2"),
        (b"HTTP_COOKIE", b"b=2"),
        (b"HTTP_X", b"3"),
    ]
    assert decode(encode(pairs)) == [
        (b"HTTP_X", b"1, 2, 3"),
        (b"HTTP_COOKIE", b"a=1; b=2"),
        (b"B", b""),
    ]


def test_of_other_repeated_variables_the_last_counts():
    """A later fastcgi_param overrides an earlier one, as PHP users expect."""
    host = [(b"HTTP_HOST", b"a"), (b"HTTP_HOST", b"a:8000")]
    assert decode(encode(host)) == [(b"HTTP_HOST", b"a:8000")]
    pairs = [(b"SCRIPT_NAME", b"/old"), (b"HTTPS", b""), (b"SCRIPT_NAME", b"/new")]
    assert decode(encode(pairs)) == [(b"SCRIPT_NAME", b"/new"), (b"HTTPS", b"")]


def test_two_different_content_lengths_are_refused():
    """Disagreeing CONTENT_LENGTHs are an attempt at smuggling; equal ones are not."""
    assert (
        decode(encode([(b"CONTENT_LENGTH", b"5"), (b"CONTENT_LENGTH", b"6")]))
        == lib.PARAMS_CONFLICT
    )
    same = encode([(b"CONTENT_LENGTH", b"5"), (b"CONTENT_LENGTH", b"5")])
    assert decode(same) == [(b"CONTENT_LENGTH", b"5")]


@pytest.mark.parametrize("pairs", [[(b"A\0B", b"")], [(b"A", b"x\0y")]])
def test_nul_is_refused(pairs: list[tuple[bytes, bytes]]):
    """A NUL would forge a variable in the block."""
    assert decode(encode(pairs)) == lib.PARAMS_NUL


def test_an_empty_name_is_refused():
    """A pair without a name is malformed."""
    assert decode(encode([(b"", b"v")])) == lib.PARAMS_BAD_NAME


def test_the_number_of_pairs_is_bounded():
    """One pair more than the limit is refused; the limit itself is fine."""
    most = [(b"N%d" % n, b"") for n in range(lib.PARAMS_MAX_PAIRS)]
    assert most == decode(encode(most))
    assert decode(encode([*most, (b"ONE_MORE", b"")])) == lib.PARAMS_TOO_MANY


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"", (1, 0)),
        (b"0", (0, 0)),
        (b"123", (0, 123)),
        (b"999999999999999999", (0, 999999999999999999)),
        (b"1000000000000000000", (-1, 0)),
        (b"-1", (1, 0)),
        (b"-2", (-1, 0)),
        (b"-10", (-1, 0)),
        (b"+1", (-1, 0)),
        (b"1 ", (-1, 0)),
        (b"0x10", (-1, 0)),
        (b"1_0", (-1, 0)),
    ],
)
def test_content_length_is_plain_decimal(text: bytes, result: tuple[int, int]):
    """Only digits, at most 18 of them; nothing, or -1, where it is not known."""
    source = ffi.from_buffer(text)
    pair = ffi.new("struct pair *", {"value": source, "value_len": len(text)})
    value = ffi.new("uint64_t *")
    assert result == (lib.params_content_length(pair, value), value[0])
