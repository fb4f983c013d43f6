# SPDX-License-Identifier: MIT
"""Runs the application for one request (PEP 3333), whatever it does."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import BodyTooLarge, BodyTruncated, ClientGone
from . import streams
from .environ import build_environ, scheme
from .response import AnswerTooShort, Response
from .transport import AUTHORIZER, Transport

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# multithread: a process runs one request at a time. multiprocess: others run beside it.
# run_once is False although a context serves one request only: the flag tells frameworks that
# caching is not worth while, but what is cached before the snapshot serves every request.
_SAME_FOR_ALL: dict[str, object] = {
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
    "wsgi.file_wrapper": streams.FileWrapper,
}
_ANSWERS = {
    400: "400 Bad Request",
    413: "413 Content Too Large",
    500: "500 Internal Server Error",
}


def serve(app: WSGIApplication, transport: Transport, script_name: str) -> None:
    """Answer one request with *app*.

    Never raises for what the application does: its exceptions, SystemExit included, become
    a plain 500 and a traceback in the log, or an aborted answer if part of it was sent.

    Parameters:
        app: the application.
        transport: the request.
        script_name: mount point of the application, ``""`` or ``/path``.
    """
    errors = streams.Errors(transport)
    environ = _environ(transport, errors, script_name)
    response = Response(transport, environ["REQUEST_METHOD"] == "HEAD")
    try:
        result = app(environ, response.start)
        try:
            _send(result, response)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        errors.flush()
    except BaseException as error:  # noqa: BLE001 - a server outlives what it serves
        errors.flush()
        _fail(error, transport, response)


def _environ(transport: Transport, errors: streams.Errors, script_name: str) -> dict[str, Any]:
    environ: dict[str, Any] = build_environ(transport.block, script_name)
    environ.update(_SAME_FOR_ALL)
    environ["wsgi.url_scheme"] = scheme(environ)
    environ["wsgi.input"] = streams.body(transport)
    environ["wsgi.errors"] = errors
    environ["lwcgi.request_id"] = transport.request_id
    if transport.role == AUTHORIZER:
        environ["FCGI_ROLE"] = "AUTHORIZER"
    return environ


def _send(result: Iterable[bytes], response: Response) -> None:
    """Send the body that the application returned, each block as it comes."""
    # Exact types: a subclass may iterate as it likes.
    kind = type(result)
    if (kind is list or kind is tuple) and len(result) <= 1:  # type: ignore[arg-type] # not narrowed
        response.finish_whole(next(iter(result), b""))
        return
    # Where nobody wants the body it is not even made.
    if response.wants_body:
        for block in result:
            if not response.write(block):
                break
    response.finish()


def _fail(error: BaseException, transport: Transport, response: Response) -> None:
    """Log why the application failed; answer in its place where nothing was sent yet."""
    code = 500
    if isinstance(error, ClientGone):
        transport.log("debug", str(error))
        transport.abort()
        return
    if isinstance(error, (BodyTooLarge, BodyTruncated)):
        code = 413 if isinstance(error, BodyTooLarge) else 400
        transport.log("warning", str(error))
    elif isinstance(error, AnswerTooShort):
        transport.log("error", str(error))
    else:
        for line in _lines(error):
            transport.log("error", line)
    if response.complete:
        return  # only close() failed: the client has everything
    if response.sent:
        transport.abort()
        return
    try:
        response.replace(_ANSWERS[code])
    except ClientGone:
        transport.abort()


def _lines(error: BaseException) -> list[str]:
    """Return the traceback, from the application's first line on."""
    own = error.__traceback__
    try:
        if isinstance(error, MemoryError):
            traceback.clear_frames(own)  # what they hold leaves no room for the traceback
        above = own.tb_next if own else None
        return "".join(traceback.format_exception(type(error), error, above or own)).splitlines()
    except BaseException as second:  # noqa: BLE001 - an exception's own methods may fail too
        return [f"{type(error).__name__}, and {type(second).__name__} when showing it"]
