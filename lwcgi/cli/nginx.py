# SPDX-License-Identifier: MIT
"""The nginx configuration that goes with a gateway's settings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_KEPT_CONNECTIONS = 32
# nginx waits a little longer than lwcgi, so that it is lwcgi that reports a timeout.
_MARGIN_SECONDS = 5
_NO_LIMIT = "1d"


def server_block(
    name: str, servers: Sequence[str], script_name: str, timeout: float, max_body: int
) -> str:
    """Return an upstream and a server block, to be included inside nginx's http block.

    Parameters:
        name: of the upstream, a word.
        servers: addresses as nginx writes them, ``unix:/path`` or ``host:port``.
        script_name: mount point of the application; empty for the whole site.
        timeout: seconds a request may take; 0 for no limit.
        max_body: bytes of one request body.
    """
    upstream = "\n".join(f"    server {_quoted(server)};" for server in servers)
    wait = f"{math.ceil(timeout) + _MARGIN_SECONDS}s" if timeout else _NO_LIMIT
    # A prefix location would also take /app2 for /app.
    location = f"~ {_quoted(f'^{re.escape(script_name)}(/|$)')}" if script_name else "/"
    return f"""\
upstream {name} {{
{upstream}
    keepalive {_KEPT_CONNECTIONS};
}}

server {{
    # Adapt address, port and name to your site.
    listen 127.0.0.1:8000;
    server_name localhost;
    client_max_body_size {max_body};

    location {location} {{
        # Debian's file sets HTTP_HOST to $host, without the port, which redirects then lack.
        # For another port than 80 or 443 include a copy that has $host:$server_port there;
        # a second HTTP_HOST in this place would be sent as well, not instead.
        include fastcgi_params;
        fastcgi_pass {name};
        fastcgi_keep_conn on;
        fastcgi_read_timeout {wait};
    }}
}}
"""


def _quoted(word: str) -> str:
    """Return *word* as one token of nginx's configuration."""
    if re.fullmatch(r"[\w./:\[\]-]+", word, re.ASCII):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
