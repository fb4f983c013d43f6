# SPDX-License-Identifier: MIT
"""An application with a bug that every long-lived Python process can have: it remembers.

The two globals below outlive the request that wrote them, so one visitor's name
is shown to the next.
"""

import os
from urllib.parse import parse_qs

visits = 0
last_name = "nobody"


def application(environ, start_response):
    """Count the visitor, name the one before; ``/crash`` takes the process down."""
    global visits, last_name
    if environ["PATH_INFO"] == "/crash":
        os.abort()
    visits += 1
    before = last_name
    last_name = parse_qs(environ["QUERY_STRING"]).get("name", ["somebody"])[0]
    text = f"You are visitor {visits}.\nThe visitor before you was {before}.\n"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]
