# SPDX-License-Identifier: MIT
"""The application as flup would have called it: what flup lets pass and the gateway does not."""

from __future__ import annotations

import io
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.util import is_hop_by_hop

from ..errors import BodyTooLarge, BodyTruncated, ClientGone
from .options import AUTHORIZER

if TYPE_CHECKING:
    from .server import WSGIServer

Environ = dict[str, Any]
_FOR_THE_GATEWAY = (ClientGone, BodyTooLarge, BodyTruncated)


class FailedRequest:
    """What `WSGIServer.error` gets.

    Parameters:
        server: the server.
        params: the environ.
    """

    def __init__(self, server: WSGIServer, params: Environ) -> None:
        self.server = server
        self.params = params
        self.stdin = params["wsgi.input"]
        self.stdout = io.BytesIO()
        self.stderr = params["wsgi.errors"]

    def answer(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body of the CGI answer that was written."""
        text = self.stdout.getvalue()
        gap = re.search(rb"\r?\n\r?\n", text)
        head, body = (text[: gap.start()], text[gap.end() :]) if gap else (text, b"")
        lines = head.decode("latin-1").splitlines()
        fields = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        status = next((value for name, value in fields if name.lower() == "status"), "200 OK")
        return status, [field for field in fields if field[0].lower() != "status"], body


class Application:
    """A WSGI application around the server's own.

    Parameters:
        server: has application, environ, roles, and error().
    """

    def __init__(self, server: WSGIServer) -> None:
        self._server = server

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        server = self._server
        environ.update(
            (name, value) for name, value in server.environ.items() if name[:5] != "wsgi."
        )
        if environ.get("FCGI_ROLE") == "AUTHORIZER" and AUTHORIZER not in server.roles:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This application is no Authorizer.\n"]
        call = _Call(server, environ, start_response)
        try:
            result = server.application(environ, call.start)
        except _FOR_THE_GATEWAY:
            raise
        except BaseException:
            if call.begun:
                raise
            return call.failed()
        if type(result) in (list, tuple):
            return [_bytes(block) for block in result]
        return call.body(result)


class _Call:
    """One call of the application."""

    def __init__(
        self, server: WSGIServer, environ: Environ, start_response: Callable[..., Any]
    ) -> None:
        self._server = server
        self._environ = environ
        self._start_response = start_response
        self.begun = False
        """Bytes of the answer have been handed on."""

    def start(self, status: Any, headers: Any, exc_info: Any = None) -> Callable[[Any], None]:
        """Be start_response."""
        fields = [(_text(name), _text(value)) for name, value in headers]
        kept = [field for field in fields if not is_hop_by_hop(field[0])]
        if len(kept) < len(fields):
            left_out = ", ".join(name for name, _ in fields if is_hop_by_hop(name))
            self._environ["wsgi.errors"].write(f"left out, for web servers alone: {left_out}\n")
        put = self._start_response(_text(status), kept, exc_info)

        def write(data: Any) -> None:
            self.begun = True
            put(_bytes(data))

        return write

    def body(self, result: Iterable[Any]) -> Iterator[bytes]:
        """Yield the blocks of *result*, then close it."""
        try:
            try:
                for block in result:
                    if block:
                        self.begun = True
                        yield _bytes(block)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except (*_FOR_THE_GATEWAY, GeneratorExit):
            raise
        except BaseException:
            if self.begun:
                raise
            yield from self.failed()

    def failed(self) -> list[bytes]:
        """Answer for the exception that is being handled."""
        traceback.print_exc(file=self._environ["wsgi.errors"])
        request = FailedRequest(self._server, self._environ)
        self._server.error(request)
        status, headers, page = request.answer()
        self._start_response(status, headers, sys.exc_info())
        return [page]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(value: Any) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value
