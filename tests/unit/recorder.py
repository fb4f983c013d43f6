# SPDX-License-Identifier: MIT
"""A transport that remembers, for tests of the WSGI layer without a gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lwcgi import wsgi

# What nginx sends with Debian's stock fastcgi_params.
STOCK = {
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "SCRIPT_NAME": "/",
    "REQUEST_URI": "/",
    "DOCUMENT_URI": "/",
    "DOCUMENT_ROOT": "/usr/share/nginx/html",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "nginx/1.22.1",
    "REMOTE_ADDR": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_NAME": "localhost",
    "HTTP_HOST": "localhost:8000",
}


def block(variables: dict[str, str | None]) -> bytes:
    """Return stock variables with *variables* changed (None: left out), as the core gives them."""
    merged = {name: value for name, value in {**STOCK, **variables}.items() if value is not None}
    return b"".join(f"{name}\0{value}\0".encode("latin-1") for name, value in merged.items())


class Aborted(BaseException):
    """The transport was told to give up; nothing may run after that."""


class Recorder:
    """A transport; `sent` is what came, call by call.

    Parameters:
        variables: differences from the stock variables.
        body: the request's body, or the error that reading it raises.
        limit: bytes that one readinto() gives at most.
        gone: the client takes nothing.
    """

    def __init__(
        self,
        variables: dict[str, str | None] | None = None,
        *,
        body: bytes | OSError = b"",
        role: int = 1,
        limit: int = 7,
        gone: OSError | None = None,
    ) -> None:
        self.block = block(variables or {})
        self.request_id = "w1-000001"
        self.has_body = body != b""
        self.role = role
        self.sent: list[bytes] = []
        self.lines: list[tuple[str, str]] = []
        self.finished = 0
        self.aborted = False
        self._body = body
        self._limit = limit
        self._gone = gone

    @property
    def headers_sent(self) -> bool:
        """True once something was sent."""
        return bool(self.sent)

    def write(self, data: bytes) -> None:
        """Remember *data*."""
        assert type(data) is bytes
        assert not self.finished, "bytes after the end of the answer"
        if self._gone:
            raise self._gone
        self.sent.append(data)

    def finish(self, data: bytes = b"") -> None:
        """Remember *data* and the end."""
        self.write(data)
        self.finished += 1

    def abort(self) -> None:
        """Remember it; like a context that ends, do not return."""
        self.aborted = True
        raise Aborted

    def readinto(self, buffer: Any) -> int:
        """Give some of the body."""
        if isinstance(self._body, OSError):
            raise self._body
        part = self._body[: min(self._limit, len(buffer))]
        self._body = self._body[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def log(self, level: str, text: str) -> None:
        """Remember a line."""
        assert level in ("debug", "info", "warning", "error")
        self.lines.append((level, text))

    @property
    def logged(self) -> str:
        """All lines of the log."""
        return "\n".join(text for _, text in self.lines)

    @property
    def head(self) -> list[str]:
        """The header lines of the answer."""
        return b"".join(self.sent).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(self.sent).partition(b"\r\n\r\n")[2]


def serve(
    app: Callable[..., Iterable[bytes]],
    variables: dict[str, str | None] | None = None,
    script_name: str = "",
    **options: Any,
) -> Recorder:
    """Serve one request with *app* and return what became of it; *options* are Recorder's."""
    recorder = Recorder(variables, **options)
    try:
        wsgi.serve(app, recorder, script_name)
    except Aborted:
        pass
    return recorder
