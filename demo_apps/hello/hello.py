# SPDX-License-Identifier: MIT
"""The smallest WSGI application: one answer, no framework."""


def application(environ, start_response):
    """Greet whoever asks."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Hello, world.\n"]
