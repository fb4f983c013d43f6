# SPDX-License-Identifier: MIT
"""The class that scripts use, with the parameters of flup's three FastCGI servers."""

from __future__ import annotations

import html
import os
import socket
import stat
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import CGIHandler

from .. import loader
from . import bystander
from .application import Application
from .options import RESPONDER, Address, arguments, unmapped
from .script import Script

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .application import FailedRequest

_LISTENSOCK_FILENO = 0  # FCGI_LISTENSOCK_FILENO (FastCGI Specification 1.0, section 2.2)
_ERROR_PAGE = """\
<!DOCTYPE html>
<html><head><title>Unhandled Exception</title></head>
<body><h1>Unhandled Exception</h1>
{}
</body></html>
"""


class WSGIServer:
    """Serves a WSGI application over FastCGI, each request from the same frozen state.

    Takes the keyword arguments of flup's ``fcgi``, ``fcgi_fork`` and ``fcgi_single`` (1.0.3). What
    has no meaning here is told as a RuntimeWarning that names it.

    Parameters:
        application: the WSGI application.
        environ: variables added to those of each request.
        bindAddress: path of a Unix socket, (host, port), or None for the listening socket that
            is descriptor 0.
        umask: for the socket's file; None for that of the process.
        debug: show tracebacks to clients.
        roles: FastCGI roles that are served: 1 Responder, 2 Authorizer.
        forceCGI: without bindAddress, answer one CGI request (RFC 3875) and exit.
        timeout: seconds a request may take; None for no limit.
        maxChildren, maxThreads: how many requests may run at a time: that many workers.
        others: what else flup takes.

    Raises:
        TypeError: an argument that flup does not know either.
        ValueError: minSpare and maxSpare that flup refuses too.
    """

    def __init__(
        self,
        application: WSGIApplication,
        environ: Mapping[str, Any] | None = None,
        *,
        bindAddress: Address | None = None,  # noqa: N803 - flup's name
        umask: int | None = None,
        debug: bool = False,
        roles: Sequence[int] = (RESPONDER,),
        forceCGI: bool = False,  # noqa: N803 - flup's name
        timeout: float | None = None,
        maxChildren: int | None = None,  # noqa: N803 - flup's name
        maxThreads: int | None = None,  # noqa: N803 - flup's name
        **others: Any,
    ) -> None:
        complaints = unmapped(others, roles)
        self.application = application
        self.environ = {} if environ is None else environ
        self.debug = debug
        self.roles = roles
        self.forceCGI = forceCGI
        self._address = bindAddress
        self._umask = umask
        self._timeout = timeout
        self._workers = maxChildren or maxThreads
        if hasattr(self, "handler"):
            complaints.append("handler: the gateway has its own, override error() or wrap the app")
        if not loader.is_expected():  # the script's first run has told them
            for complaint in complaints:
                warnings.warn(complaint, RuntimeWarning, stacklevel=2)

    def run(self) -> bool:
        """Serve until a signal says stop; return whether that was SIGHUP.

        SIGTERM and SIGHUP let requests end, SIGINT does not. SIGUSR1 loads the application again.
        Must be called in the main thread, from a script that Python runs from a file or as a
        module.

        Raises:
            RuntimeError: there is no such script.
            SystemExit: the gateway could not start or failed, and has said why on standard error;
                or a CGI request was answered.
        """
        application = Application(self)
        if loader.is_expected():
            loader.hand_over(application)
        if self._address is None and (_is_cgi_forced(self.forceCGI) or not _is_socket()):
            CGIHandler().run(application)
            sys.exit(0)
        options = arguments(self._address, self._umask, self._timeout, self._workers)
        return bystander.run(options, Script.running())

    def error(self, req: FailedRequest) -> None:
        """Answer a request that ended in an exception before anything was sent; may be overridden.

        Parameters:
            req: its ``stdout.write`` takes the bytes of a CGI answer.
        """
        if self.debug:
            what = f"<pre>{html.escape(traceback.format_exc())}</pre>"
        else:
            what = "<p>An unhandled exception was thrown by the application.</p>"
        page = _ERROR_PAGE.format(what).encode("utf-8", "backslashreplace")
        req.stdout.write(
            b"Status: 500 Internal Server Error\r\n"
            b"Content-Type: text/html; charset=utf-8\r\n\r\n" + page
        )


def _is_cgi_forced(asked: bool) -> bool:
    return asked or os.environ.get("FCGI_FORCE_CGI", "N").upper().startswith("Y")


def _is_socket() -> bool:
    """Return whether descriptor 0 is a socket that has no peer: a listening one (flup's test)."""
    try:
        if not stat.S_ISSOCK(os.fstat(_LISTENSOCK_FILENO).st_mode):
            return False
        with socket.socket(fileno=os.dup(_LISTENSOCK_FILENO)) as found:
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
