# SPDX-License-Identifier: MIT
"""WSGI (PEP 3333): one request's variables and body in, one CGI-style answer out; no I/O of its own."""

from .environ import build_environ
from .serve import serve
from .transport import Transport

__all__ = ["Transport", "build_environ", "serve"]
