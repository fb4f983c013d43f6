# SPDX-License-Identifier: MIT
"""The server's log: one line per event, safe to read whatever was written into it."""

from __future__ import annotations

import json
import os
import re
import time

from ..config import LOG_LEVELS
from .logfile import STANDARD, LogFile

LONGEST_LINE = 4096

# Who says a line: the gateway, the application in a request (wsgi.errors), or anything that was
# printed.
_GATEWAY, _APPLICATION, _PRINTED = "gateway", "application", "printed"

# How the core begins what it says of a request.
_REQUEST = re.compile(r"(w\d+-\d{6,}) ")


def escape(text: str) -> str:
    """Return *text* on one line, everything a terminal could act upon written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Log:
    """Writes lines like ``2026-11-24 06:15:13 [4711] INFO text``, or JSON objects, to a file.

    Parameters:
        file: where lines go; standard error by default.
        level: the least important level that is written, one of config.LOG_LEVELS.
        form: one of config.LOG_FORMATS.
    """

    def __init__(
        self, file: LogFile | None = None, level: str = "info", form: str = "text"
    ) -> None:
        self._file = file or LogFile.open(STANDARD, 2, "error log")
        self._threshold = LOG_LEVELS.index(level)
        self._line = _json if form == "json" else _text

    def write(self, level: str, text: str, pid: int = 0, application: bool = False) -> None:
        """Write *text*, each of its lines a line of its own.

        Parameters:
            level: one of config.LOG_LEVELS.
            pid: the process that says it; 0 for this one.
            application: it is the application that says it.
        """
        if LOG_LEVELS.index(level) < self._threshold:
            return
        source = _APPLICATION if application else _GATEWAY
        for line in text.split("\n"):
            self._put(self._line(level, line, pid or os.getpid(), source))

    def application(self, line: str, pid: int) -> None:
        """Write one line the application printed; the log level does not silence it."""
        self._put(self._line("info", line, pid, _PRINTED))

    def reopen(self) -> None:
        """Open the file anew, after it was renamed.

        Raises:
            OSError: it cannot be opened; lines go where they went before.
        """
        self._file.reopen()

    def _put(self, line: str) -> None:
        try:
            self._file.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            # The reader of the log is gone or its disk is full; requests go on all the same.
            pass


def _text(level: str, line: str, pid: int, source: str) -> str:
    """Return a line for people."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    prefix = "app: " if source == _PRINTED else ""
    return f"{moment} [{pid}] {level.upper()} {prefix}{escape(line)}"


def _json(level: str, line: str, pid: int, source: str) -> str:
    """Return an object on one line (RFC 8259), ASCII alone."""
    now = time.time()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    record: dict[str, object] = {
        "time": f"{seconds}.{int(now * 1000) % 1000:03}Z",
        "level": level,
        "source": "lwcgi" if source == _GATEWAY else "app",
        "pid": pid,
    }
    # What is printed names no request: it would be the application's word.
    if source != _PRINTED and (request := _REQUEST.match(line)):
        record["request"] = request[1]
        line = line[request.end() :]
    # Half of a surrogate pair is valid JSON, but not everybody's.
    record["message"] = line.encode("utf-8", "backslashreplace").decode()
    return json.dumps(record, separators=(",", ":"))


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
