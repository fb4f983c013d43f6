# SPDX-License-Identifier: MIT
"""The log stays one line per event, whatever is written into it."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwcgi.supervisor import wire
from lwcgi.supervisor.logfile import LogFile
from lwcgi.supervisor.logs import LONGEST_LINE, Lines, Log, escape


def logged(write: str, *arguments: object, level: str = "info") -> str:
    """Return what a Log writes when its method *write* is called."""
    reading, writing = os.pipe()
    try:
        getattr(Log(LogFile(None, writing), level), write)(*arguments)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8", newline="") as file:
        return file.read()


def test_form_of_a_line() -> None:
    """A line is date, time, process, level and text."""
    line = logged("write", "warning", "look out", 4711)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[4711\] WARNING look out\n", line)


def test_own_pid_is_the_default() -> None:
    """Without a process of its own, a line is this process's."""
    assert f"[{os.getpid()}]" in logged("write", "info", "me")


def test_level_is_a_threshold() -> None:
    """What is less important than the level is not written."""
    assert logged("write", "info", "chatter", level="warning") == ""


def test_application_output_is_never_silenced() -> None:
    """What the application prints is written at any level, marked as its own."""
    assert logged("application", "hi", 9, level="error").endswith("[9] INFO app: hi\n")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain, even ä and 漢", "plain, even ä and 漢"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb\nc\x85d\u2028e", "a\\rb\\nc\\x85d\\u2028e"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_escapes(text: str, escaped: str) -> None:
    """Control, direction and undecodable characters are spelt out; text is left alone."""
    assert escape(text) == escaped


@given(st.text())
def test_nothing_breaks_out_of_a_line(text: str) -> None:
    """However it is written into, the log gets no line that does not begin with a date."""
    written = logged("application", text, 1)
    assert written.endswith("\n")
    assert len(written.splitlines()) == 1


def test_a_log_that_cannot_be_written_is_no_error() -> None:
    """A reader of the log that is gone does not stop the server."""
    reading, writing = os.pipe()
    os.close(reading)
    Log(LogFile(None, writing)).write("info", "anybody there?")
    os.close(writing)


def test_lines_from_pieces() -> None:
    """Lines are put together from any pieces, and cut out of any."""
    lines = Lines()
    assert lines.feed(b"on") == []
    assert lines.feed(b"e\ntwo\r\nth") == ["one", "two"]
    assert lines.feed(b"\xff\n") == ["th\\xff"]
    assert lines.flush() == []


def test_unfinished_line_is_flushed() -> None:
    """A last line without its end is not lost."""
    lines = Lines()
    lines.feed(b"last words")
    assert lines.flush() == ["last words"]
    assert lines.flush() == []


@given(st.lists(st.binary(max_size=3 * LONGEST_LINE), max_size=5))
def test_lines_are_bounded_and_complete(pieces: list[bytes]) -> None:
    """No line is longer than the limit, nothing but line ends is lost, memory is bounded."""
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    assert len(lines._rest) <= LONGEST_LINE
    found += lines.flush()
    expected = b"".join(pieces).decode("utf-8", "backslashreplace")
    strip = str.maketrans("", "", "\r\n")
    if expected.isascii():
        assert "".join(found).translate(strip) == expected.translate(strip)
        assert all(len(line) <= LONGEST_LINE for line in found)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_event_round_trip(level: str) -> None:
    """A log line arrives with the level and text it was sent with."""
    assert wire.unpack_line(wire.pack_line(level, "grüße")) == (level, "grüße", False)


@given(st.binary(max_size=2 * wire.LARGEST_LINE))
def test_hostile_event(datagram: bytes) -> None:
    """Any datagram at all is taken for a line of bounded length, never for an exception."""
    level, text, _ = wire.unpack_line(datagram)
    assert level in ("debug", "info", "warning", "error")
    assert len(text) <= 4 * wire.LARGEST_LINE


@given(st.binary())
def test_hostile_message(datagram: bytes) -> None:
    """Any datagram at all is a message or no message, never an exception."""
    assert isinstance(wire.unpack_message(datagram), dict)


@pytest.mark.parametrize("datagram", [b"", b"{", b"[1]", b"null", b"[" * 100_000, b'{"a": NaN'])
def test_no_message(datagram: bytes) -> None:
    """Cut, foreign and deeply nested JSON is no message."""
    assert wire.unpack_message(datagram) == {}


@pytest.mark.parametrize("character", ["x", "\0", "\U0001f600", "\udcff"])
def test_huge_failure_fits_a_message(character: str) -> None:
    """A failure of any size fits a message, and keeps the end of the traceback."""
    huge = character * (1 << 20)
    datagram = wire.failed(3, huge, huge, huge + "ValueError: here")
    assert len(datagram) < wire.LARGEST_MESSAGE
    message = wire.unpack_message(datagram)
    assert message["exit_code"] == 3
    assert str(message["traceback"]).endswith("ValueError: here")


def test_many_notes_fit_a_message() -> None:
    """However much there is to say about an application, it fits a message."""
    datagram = wire.checked(["\0" * 10_000] * 1000)
    assert len(datagram) < wire.LARGEST_MESSAGE
    assert wire.unpack_message(datagram)["notes"]


def record(write: str, *arguments: object) -> dict[str, object]:
    """Return the one JSON object that a Log writes."""
    reading, writing = os.pipe()
    try:
        getattr(Log(LogFile(None, writing), "debug", "json"), write)(*arguments)
    finally:
        os.close(writing)
    with open(reading, "rb") as file:
        data = file.read()
    assert data.isascii()
    assert data.endswith(b"\n")
    (line,) = data.decode().splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


@given(st.text())
def test_any_text_is_one_object(text: str) -> None:
    """What is said is told whole, but for half of a surrogate pair, which is no text."""
    found = record("application", text, 1)
    told = text.encode("utf-8", "backslashreplace").decode()
    assert found["message"] == told
    assert found.keys() == {"time", "level", "source", "pid", "message"}


def test_members() -> None:
    """A line has time, level, source, pid and message; about a request its id, apart."""
    found = record("write", "warning", "w12-1000000 GET /: look out", 4711)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(found.pop("time")))
    assert found == {
        "level": "warning",
        "source": "lwcgi",
        "pid": 4711,
        "request": "w12-1000000",
        "message": "GET /: look out",
    }


def test_sources() -> None:
    """What the application says is marked, printed or logged; printing names no request."""
    assert record("write", "error", "w1-000001 GET /: x", 1, True)["source"] == "app"
    printed = record("application", "w1-000001 GET /: x", 1)
    assert (printed["source"], printed["message"]) == ("app", "w1-000001 GET /: x")
    assert "request" not in printed


def test_letters_of_the_application() -> None:
    """A small letter marks a line as the application's; what is no line at all is so too."""
    assert wire.unpack_line(b"e text") == ("error", "text", True)
    assert wire.unpack_line(b"E text") == ("error", "text", False)
    assert wire.unpack_line(b"garbage").application
