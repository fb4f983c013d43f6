# SPDX-License-Identifier: MIT
"""An Authorizer (FastCGI 1.0, section 6.3): lets in whoever is called anna, or brings a token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer 200 with variables for the web server, or 403 with an explanation; or crash."""
    read = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
    if read or environ.get("FCGI_ROLE") != "AUTHORIZER":
        raise AssertionError(f"not asked as an Authorizer: {environ}")
    if "crash" in environ["QUERY_STRING"]:
        os._exit(1)
    name = environ.get("REMOTE_USER") or environ.get("HTTP_X_TOKEN")
    if name != "anna":
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("X-Reason", "unknown")])
        return [b"not you: ", environ["PATH_INFO"].encode("latin-1")]
    start_response("200 OK", [("Variable-GROUP", "editors"), ("Content-Type", "text/plain")])
    return [b"of this the web server takes no notice" * 1000]
