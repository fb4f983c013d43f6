# SPDX-License-Identifier: MIT
"""Warm-up: requests run through the application before it is frozen.

What they import, compile and cache is then in the snapshot, ready for every request.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def run(
    app: WSGIApplication, paths: Sequence[str], script_name: str, log: Callable[[str, str], None]
) -> list[str]:
    """Send ``GET`` requests for *paths* to *app*, each logged with its status and time.

    Returns those of *paths* that went well. An exception of the application is logged as a
    warning; SystemExit and KeyboardInterrupt pass through.

    Parameters:
        app: the application.
        paths: below the mount point, each perhaps with a query.
        script_name: mount point of the application, ``""`` or ``/path``.
        log: takes level and text.
    """
    good = []
    for path in paths:
        begun = time.perf_counter()
        try:
            status = _get(app, path, script_name)
        except Exception:  # noqa: BLE001 - the application's code, whatever it raises
            log("warning", f"warm-up: GET {path} failed")
            for line in traceback.format_exc().splitlines():
                log("warning", line)
            continue
        elapsed = (time.perf_counter() - begun) * 1000
        failed = status.startswith("5")
        log("warning" if failed else "info", f"warm-up: GET {path}: {status}, {elapsed:.1f} ms")
        if not failed:
            good.append(path)
    return good


def block(path: str, script_name: str) -> bytes:
    """Return the CGI variables of ``GET`` *path* as a web server would send them.

    ``NAME NUL VALUE NUL`` for each.
    """
    environ = _variables(path, script_name)
    environ["DOCUMENT_URI"] = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    environ |= {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "lwcgi",
        "REQUEST_SCHEME": "http",
    }
    environ |= {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "0", "SERVER_ADDR": "127.0.0.1"}
    environ |= {"CONTENT_LENGTH": "", "CONTENT_TYPE": "", "HTTP_USER_AGENT": "lwcgi"}
    environ |= {"HTTP_ACCEPT": "*/*", "REDIRECT_STATUS": "200", "DOCUMENT_ROOT": "/"}
    return "".join(
        f"{name}\0{value}\0" for name, value in environ.items() if isinstance(value, str)
    ).encode("latin-1")


def _variables(path: str, script_name: str) -> dict[str, Any]:
    # Imported late: with --no-warmup the snapshot does without it.
    from werkzeug.test import EnvironBuilder

    builder = EnvironBuilder(path, base_url=f"http://localhost{script_name}/")
    try:
        return builder.get_environ()
    finally:
        builder.close()


def _get(app: WSGIApplication, path: str, script_name: str) -> str:
    from werkzeug.test import run_wsgi_app

    environ = _variables(path, script_name)
    # As in a real request, see `wsgi.serve`.
    environ["wsgi.multiprocess"] = True
    environ["wsgi.input_terminated"] = True
    environ["lwcgi.request_id"] = "warmup"
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    return status
