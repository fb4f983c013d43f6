# SPDX-License-Identifier: MIT
"""One answer: what the application says with start_response, checked, as CGI bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeAlias

from .transport import Transport

ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

# Separators of header lines while these are put together; no value may contain any of them.
# A tab may stand in a value (RFC 9110, section 5.5).
_CONTROLS = bytes(byte for byte in (*range(0x20), 0x7F) if byte != 0x09)
_STATUS = re.compile(r"[1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, section 5.6.2)
_LENGTH = re.compile(r"[0-9]{1,18}")
# Up to this many bytes, copying them behind the head is cheaper than a call of their own.
_TOGETHER = 65536
# PEP 3333, "Other HTTP Features": for servers alone. Status would contradict start_response.
_REFUSED = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "status", "te",
        "trailer", "trailers", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# Names that need no look: frequent ones, in the two ways that they are written.
_PLAIN = frozenset(
    spelling
    for name in (
        "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
        "Content-Security-Policy", "Content-Type", "Date", "ETag", "Expires", "Last-Modified",
        "Link", "Location", "Referrer-Policy", "Server", "Set-Cookie", "Vary",
        "X-Content-Type-Options", "X-Frame-Options",
    )
    for spelling in (name, name.lower())
)  # fmt: skip


def _bodyless(code: int) -> bool:
    return code < 200 or code in (204, 304)


# Status lines that need no look: Python's own phrases, as they are and in capitals.
_STATUSES = {
    f"{status.value} {phrase}": _bodyless(status.value)
    for status in HTTPStatus
    for phrase in (status.phrase, status.phrase.upper())
}


class AnswerTooShort(Exception):
    """The body ended before it had the bytes that Content-Length said."""


class Response:
    """The answer to one request; `start` is the start_response of PEP 3333.

    Parameters:
        transport: takes the bytes.
        head_only: the request was HEAD: the body is left out.
    """

    __slots__ = ("_head", "_head_only", "_left", "_transport", "complete", "sent", "wants_body")

    def __init__(self, transport: Transport, head_only: bool) -> None:
        self._transport = transport
        self._head_only = head_only
        self._head: bytes | None = None
        # Bytes of the body still to come; -1 if the application did not say.
        self._left = -1
        # Tells whether (more of) the body is of any use; whether something was sent; or all.
        self.wants_body = True
        self.sent = False
        self.complete = False

    def start(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Any:
        """Check and keep the head of the answer; return the write() callable.

        Raises:
            RuntimeError: called a second time without *exc_info*.
            TypeError, ValueError: status or headers are not what PEP 3333 allows.
        """
        if exc_info:
            try:
                if self.sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the circle through this frame
        elif self._head is not None:
            raise RuntimeError("start_response was called a second time without exc_info")
        no_body = _STATUSES.get(status) if type(status) is str else None
        if no_body is None:
            no_body = _check_status(status)
        lines = ["Status: " + status]
        left = -1
        for name, value in headers:
            if not isinstance(value, str):
                raise TypeError(f"value of header {name!r} is {type(value).__name__}, not str")
            if name not in _PLAIN and (
                name == "Content-Length" or _check_name(name) == "content-length"
            ):
                left = _check_length(value, left)
            lines.append(f"{name}: {value}")
        try:
            head = "\n".join(lines).encode("latin-1")
        except UnicodeEncodeError as error:
            raise ValueError(f"headers must be Latin-1 (PEP 3333): {error}") from None
        if len(head) - len(head.translate(None, _CONTROLS)) != len(lines) - 1:
            raise ValueError(f"control character in {_culprit(lines)}")
        self.wants_body = not (no_body or self._head_only)
        self._left = left
        self._head = head.replace(b"\n", b"\r\n") + b"\r\n"
        return self.write

    def write(self, data: bytes) -> bool:
        """Send bytes of the body, behind the head at the first of them.

        Returns False where no more are wanted. Bytes beyond Content-Length are cut off.

        Raises:
            RuntimeError: start_response was not called yet.
            TypeError: *data* is not bytes.
            ClientGone: nobody takes the answer.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a body is made of bytes, not {type(data).__name__}")
        if self._head is None:
            raise RuntimeError("the body began before start_response was called")
        if not data or not self.wants_body:
            return self.wants_body
        if self._left >= 0:
            if len(data) > self._left:
                self._transport.log("error", "body cut off: it is longer than its Content-Length")
                data = data[: self._left]
                self.wants_body = False
            self._left -= len(data)
        if self.complete:
            return self.wants_body
        if not self.sent:
            data = self._open(self._head, data)
        if self._left == 0:
            # A client that has all it was promised may leave: what the application does from
            # here on must not be taken for work on an answer that nobody waits for.
            self.complete = True
            self._transport.finish(data)
        elif data:
            self._transport.write(data)
        return self.wants_body

    def _open(self, head: bytes, data: bytes) -> bytes:
        """Begin the answer; return what is to be sent now: *data*, behind the head if short."""
        self.sent = True
        if len(data) <= _TOGETHER:
            return b"%b\r\n%b" % (head, data)
        self._transport.write(head + b"\r\n")
        return data

    def finish(self) -> None:
        """Complete the answer.

        Raises:
            AnswerTooShort: bytes that Content-Length promised are missing.
            RuntimeError: start_response was not called.
            ClientGone: nobody takes the answer.
        """
        if self._head is None:
            raise RuntimeError("the application did not call start_response")
        if self.wants_body and self._left > 0:
            raise AnswerTooShort(f"body ended {self._left} bytes short of its Content-Length")
        if self.complete:
            return
        last = b"" if self.sent else self._open(self._head, b"")
        self.complete = True
        self._transport.finish(last)

    def finish_whole(self, body: bytes) -> None:
        """Send a body that is all there is, with its length; complete the answer.

        Raises: as `write` and `finish`.
        """
        head = self._head
        usual = head is not None and self.wants_body and not self.sent and type(body) is bytes
        if not usual or self._left not in (-1, len(body)):
            self.write(body)
            self.finish()
            return
        assert head is not None
        if self._left < 0:
            head += b"Content-Length: %d\r\n" % len(body)
        last = self._open(head, body)
        self.complete = True
        self._transport.finish(last)

    def replace(self, status: str) -> None:
        """Send a plain answer instead, of which nothing was sent yet, and complete it.

        Raises:
            ClientGone: nobody takes the answer.
        """
        text = status[4:].encode() + b"\n"
        self._head = None
        self.start(status, [("Content-Type", "text/plain; charset=utf-8")])
        self.finish_whole(text)


def _check_status(status: Any) -> bool:
    """Return whether answers of this status have no body."""
    if not isinstance(status, str):
        raise TypeError(f"status is {type(status).__name__}, not str")
    if not _STATUS.fullmatch(status):
        raise ValueError(f"status {status!r} is not a number of three digits and a phrase")
    return _bodyless(int(status[:3]))


def _check_name(name: Any) -> str:
    """Return the name in small letters."""
    if not isinstance(name, str):
        raise TypeError(f"header name {name!r} is {type(name).__name__}, not str")
    if not _NAME.fullmatch(name):
        raise ValueError(f"header name {name!r} is not a token")
    lowered = name.lower()
    if lowered in _REFUSED:
        raise ValueError(f"header {name} is for the server alone (PEP 3333)")
    return lowered


def _check_length(value: str, former: int) -> int:
    if not _LENGTH.fullmatch(value):
        raise ValueError(f"Content-Length {value!r} is not a number")
    length = int(value)
    if former not in (-1, length):
        raise ValueError(f"two values of Content-Length: {former} and {length}")
    return length


def _culprit(lines: list[str]) -> str:
    """Return the first line that has a control character, as text that has none."""
    raw = (line.encode("latin-1") for line in lines)
    return next(repr(line) for line in raw if len(line) != len(line.translate(None, _CONTROLS)))
