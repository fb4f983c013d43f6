# SPDX-License-Identifier: MIT
"""What the processes of one gateway tell each other: datagrams, packed and unpacked.

Each end treats what it receives as untrusted: it may be cut, garbled, or written by an
application that found the descriptor.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

LARGEST_MESSAGE = 128 << 10
LARGEST_LINE = 4096
# Characters; each may take six bytes in JSON, and all must fit one message.
_LONGEST_SENTENCE, _LONGEST_TRACEBACK, _MOST_NOTES = 4096, 12 << 10, 5

# C: an error too, the crash of a request.
_LETTERS = {b"D": "debug", b"I": "info", b"W": "warning", b"E": "error", b"C": "error"}


class Line(NamedTuple):
    """One log line: its level, its text, and whether it is the application's."""

    level: str
    text: str
    application: bool


def pack_message(message: dict[str, object]) -> bytes:
    """Return one control message as a datagram."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "backslashreplace")


def unpack_message(datagram: bytes) -> dict[str, object]:
    """Return the control message in *datagram*; empty when it holds none."""
    try:
        message = json.loads(datagram)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def pack_line(level: str, text: str) -> bytes:
    """Return one log line as a datagram of at most LARGEST_LINE bytes."""
    data = f"{level[0].upper()} {text}".encode("utf-8", "backslashreplace")
    return data[:LARGEST_LINE]


def unpack_line(datagram: bytes) -> Line:
    """Return the log line in *datagram*; anything goes, as an error.

    Its first letter tells the level, a small one also that it comes from the application.
    """
    level = _LETTERS.get(datagram[:1].upper()) if datagram[1:2] == b" " else None
    text = datagram[2:] if level else datagram
    return Line(
        level or "error",
        text[:LARGEST_LINE].decode("utf-8", "backslashreplace"),
        level is None or datagram[:1].islower(),
    )


def tells_crash(datagram: bytes) -> bool:
    """Return whether the log line in *datagram* says that a signal killed a request's process."""
    return datagram[:2] == b"C "


def send_line(fd: int, level: str, text: str) -> None:
    """Send *text*, a datagram for each of its lines, down the events socket *fd*.

    A supervisor that is gone cannot be told anything: that is no error here.
    """
    for line in text.splitlines():
        try:
            os.write(fd, pack_line(level, line))
        except OSError:
            return


def failed(exit_code: int, cause: str, remedy: str, traceback: str) -> bytes:
    """Return the message that says why the snapshot process gave up.

    The end of a long traceback is kept, where the exception is.
    """
    return pack_message(
        {
            "event": "failed",
            "exit_code": exit_code,
            "message": cause[:_LONGEST_SENTENCE],
            "remedy": remedy[:_LONGEST_SENTENCE],
            "traceback": traceback[-_LONGEST_TRACEBACK:],
        }
    )


def checked(notes: list[str]) -> bytes:
    """Return the message that the application can be frozen, with *notes* about it."""
    return pack_message(
        {"event": "checked", "notes": [note[:_LONGEST_SENTENCE] for note in notes[:_MOST_NOTES]]}
    )


def frozen() -> bytes:
    """Return the message that the application is loaded, and orders are listened to."""
    return pack_message({"event": "frozen"})


def ready(workers: list[int]) -> bytes:
    """Return the message that all workers serve, with their pids."""
    return pack_message({"event": "ready", "workers": workers})


def stop(quick: bool) -> bytes:
    """Return the order to stop all workers and end, gracefully or *quick*."""
    return pack_message({"command": "stop", "quick": quick})


def resize(workers: int) -> bytes:
    """Return the order to have so many workers from now on."""
    return pack_message({"command": "resize", "workers": workers})
