# SPDX-License-Identifier: MIT
"""The server's log: one line per event, safe to read whatever was written into it."""

from __future__ import annotations

import os
import time

from ..config import LOG_LEVELS

LONGEST_LINE = 4096


def escape(text: str) -> str:
    """Return *text* on one line, everything a terminal could act upon written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Log:
    """Writes lines like ``2026-11-24 06:15:13 [4711] INFO text`` to a descriptor.

    Parameters:
        fd: where lines go; standard error by default.
        level: the least important level that is written, one of config.LOG_LEVELS.
    """

    def __init__(self, fd: int = 2, level: str = "info") -> None:
        self._fd = fd
        self._threshold = LOG_LEVELS.index(level)

    def write(self, level: str, text: str, pid: int = 0) -> None:
        """Write *text*, each of its lines a line of its own.

        Parameters:
            level: one of config.LOG_LEVELS.
            pid: the process that says it; 0 for this one.
        """
        if LOG_LEVELS.index(level) < self._threshold:
            return
        for line in text.split("\n"):
            self._put(level.upper(), line, pid)

    def application(self, line: str, pid: int) -> None:
        """Write one line the application printed; the log level does not silence it."""
        self._put("INFO", f"app: {line}", pid)

    def _put(self, label: str, line: str, pid: int) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"{moment} [{pid or os.getpid()}] {label} {escape(line)}\n"
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # The reader of the log is gone or its disk is full; requests go on all the same.
            pass


class Lines:
    """Cuts a stream of bytes into lines of bounded length."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that *data* completes, decoded, without their ends."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            whole.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return [text for line in whole for text in _bounded(line.removesuffix(b"\r"))]

    def flush(self) -> list[str]:
        """Return what is left of a line that never ended."""
        rest, self._rest = self._rest, b""
        return [text for text in _bounded(rest) if text]


def _bounded(line: bytes) -> list[str]:
    starts = range(0, max(len(line), 1), LONGEST_LINE)
    return [line[at : at + LONGEST_LINE].decode("utf-8", "backslashreplace") for at in starts]
