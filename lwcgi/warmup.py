# SPDX-License-Identifier: MIT
"""Warm-up: requests run through the application before it is frozen.

What they import, compile and cache is then in the snapshot, ready for every request.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def run(
    app: WSGIApplication, paths: Sequence[str], script_name: str, log: Callable[[str, str], None]
) -> None:
    """Send ``GET`` requests for *paths* to *app*, each logged with its status and time.

    An exception of the application is logged as a warning; SystemExit and KeyboardInterrupt
    pass through.

    Parameters:
        app: the application.
        paths: below the mount point, each perhaps with a query.
        script_name: mount point of the application, ``""`` or ``/path``.
        log: takes level and text.
    """
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
        level = "warning" if status.startswith("5") else "info"
        log(level, f"warm-up: GET {path}: {status}, {elapsed:.1f} ms")


def _get(app: WSGIApplication, path: str, script_name: str) -> str:
    # Imported late: with --no-warmup the snapshot does without it.
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    builder = EnvironBuilder(path, base_url=f"http://localhost{script_name}/")
    try:
        environ = builder.get_environ()
    finally:
        builder.close()
    # As in a real request, see `wsgi.serve`.
    environ["wsgi.multiprocess"] = True
    environ["wsgi.input_terminated"] = True
    environ["lwcgi.request_id"] = "warmup"
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    return status
