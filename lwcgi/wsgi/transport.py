# SPDX-License-Identifier: MIT
"""What the WSGI layer needs of whoever carries a request and its answer."""

from __future__ import annotations

from typing import Protocol

AUTHORIZER = 2
"""The FastCGI role of a request that only asks for permission (FastCGI 1.0, section 6.3)."""


class Transport(Protocol):
    """One request and the way back to its client.

    The answer is a CGI document (RFC 3875, section 6): ``Status:`` and the other header lines,
    an empty line, the body; bytes go out in the order of the calls.
    """

    @property
    def block(self) -> bytes:
        """The CGI variables: ``NAME NUL VALUE NUL`` for each, every name once."""

    @property
    def request_id(self) -> str:
        """What the log calls this request."""

    @property
    def has_body(self) -> bool:
        """False if the request certainly has no body."""

    @property
    def role(self) -> int:
        """The FastCGI role: 1 Responder, 2 Authorizer."""

    @property
    def headers_sent(self) -> bool:
        """True once bytes of the answer were handed over."""

    def write(self, data: bytes) -> None:
        """Hand over bytes of the answer.

        Raises:
            ClientGone: nobody takes them.
        """

    def finish(self, data: bytes = b"") -> None:
        """Hand over the last bytes of the answer; it is then complete.

        Raises:
            ClientGone: nobody takes them.
        """

    def abort(self) -> None:
        """Give the answer up, visibly to the web server. May end the process."""

    def readinto(self, buffer: memoryview) -> int:
        """Read bytes of the request's body into *buffer*; return how many, 0 at its end.

        Raises:
            BodyTooLarge: the body exceeds the limit.
            BodyTruncated: it is not as long as CONTENT_LENGTH said.
            ClientGone: the request was aborted.
        """

    def log(self, level: str, text: str) -> None:
        """Send one line to the server's log: *level* ``debug``, ``info``, ``warning``, ``error``."""
