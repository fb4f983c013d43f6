# SPDX-License-Identifier: MIT
"""From a block of CGI variables to the strings of a WSGI environ (PEP 3333, RFC 3875)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes


def build_environ(block: bytes, script_name: str) -> dict[str, object]:
    """Return the environ that *block* makes, without any ``wsgi.`` entry.

    Values are bytes as str (PEP 3333, "Unicode Issues"). Where the web server sends no
    PATH_INFO, as with Debian's stock ``fastcgi_params``, SCRIPT_NAME is the whole path.

    Parameters:
        block: ``NAME NUL VALUE NUL`` for each variable.
        script_name: mount point of the application, ``""`` or ``/path``.
    """
    words = iter(block.decode("latin-1").split("\0"))
    environ: dict[str, Any] = dict(zip(words, words, strict=False))
    # `Proxy:` would become the variable that HTTP clients obey (CVE-2016-1000110).
    environ.pop("HTTP_PROXY", None)
    # The same facts as CONTENT_LENGTH and CONTENT_TYPE, but not checked by anybody.
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_CONTENT_TYPE", None)
    if environ.get("CONTENT_LENGTH") in ("", "-1"):  # the length is not known
        del environ["CONTENT_LENGTH"]
    if environ.get("CONTENT_TYPE") == "":
        del environ["CONTENT_TYPE"]
    _place(environ)
    if script_name:
        _mount(environ, script_name)
    if not environ.get("SERVER_NAME") or not environ.get("SERVER_PORT"):
        _name_server(environ)
    if "REQUEST_METHOD" not in environ:
        environ["REQUEST_METHOD"] = "GET"
    if "QUERY_STRING" not in environ:
        environ["QUERY_STRING"] = ""
    return environ


def scheme(environ: Mapping[str, object]) -> str:
    """Return the URL scheme that HTTPS, or else REQUEST_SCHEME, tells."""
    https = environ.get("HTTPS")
    if https:
        return "http" if str(https).lower() in ("off", "0") else "https"
    return "https" if environ.get("REQUEST_SCHEME") == "https" else "http"


def _place(environ: dict[str, str]) -> None:
    """Make SCRIPT_NAME and PATH_INFO what PEP 3333 means by them."""
    script = environ.get("SCRIPT_NAME")
    if "PATH_INFO" not in environ:
        environ["PATH_INFO"] = script or _requested_path(environ.get("REQUEST_URI", ""))
        environ["SCRIPT_NAME"] = ""
    elif script is None:
        environ["SCRIPT_NAME"] = ""
    elif script == "/":
        # Some servers mount at the root that way; the slash belongs to the path.
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = "/" + environ["PATH_INFO"]


def _requested_path(uri: str) -> str:
    """Return the decoded path of a request line's target, as bytes in a str."""
    path = uri.partition("?")[0]
    if not path.startswith("/"):
        rest = path.partition("://")[2]  # the absolute form, which proxies get
        path = rest[rest.find("/") :] if "/" in rest else ""
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1") or "/"


def _mount(environ: dict[str, str], mount: str) -> None:
    """Move the mount point from the front of the path to SCRIPT_NAME, if the path has it."""
    if not mount.isascii():
        mount = mount.encode().decode("latin-1")
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    if path == mount or path.startswith(mount + "/"):
        environ["SCRIPT_NAME"] = mount
        environ["PATH_INFO"] = path[len(mount) :]


def _name_server(environ: dict[str, str]) -> None:
    """Fill in SERVER_NAME and SERVER_PORT, which must never be empty (PEP 3333)."""
    if not environ.get("SERVER_NAME"):
        host = environ.get("HTTP_HOST", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        environ["SERVER_NAME"] = name or environ.get("SERVER_ADDR") or "localhost"
    if not environ.get("SERVER_PORT"):
        https = scheme(environ) == "https"
        environ["SERVER_PORT"] = "443" if https else "80"
