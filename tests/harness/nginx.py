# SPDX-License-Identifier: MIT
"""nginx in front of a gateway, with the parameters Debian ships."""

from __future__ import annotations

import os

from tests.harness.webserver import WebServer

_CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 256m;
    upstream gateway {{
        server unix:{gateway};
        {upstream}
    }}
    server {{
        listen unix:{folder}/http;
        server_name localhost;
        location / {{
            include {params};
            fastcgi_pass gateway;
            {location}
        }}
    }}
}}
"""


class Nginx(WebServer):
    """nginx in front of a gateway, speaking HTTP on a Unix socket.

    Parameters:
        gateway: path of the gateway's socket.
        keep: connections to the gateway are kept (fastcgi_keep_conn on).
        location: more directives for the one location.

    The parameters sent are those of the system's own fastcgi_params, which is what the users of a
    Debian package have.
    """

    program = "nginx"
    package = "nginx"

    def __init__(self, gateway: str, keep: bool = False, location: str = "") -> None:
        self._gateway = gateway
        self._keep = keep
        self._location = location

    def _prepare(self) -> list[str]:
        self.address = str(self.folder / "http")
        config = self.folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                user="user root;" if os.geteuid() == 0 else "",
                folder=self.folder,
                gateway=self._gateway,
                params="/etc/nginx/fastcgi_params",
                upstream="keepalive 64;" if self._keep else "",
                location=self._location + ("fastcgi_keep_conn on;" if self._keep else ""),
            )
        )
        return ["-p", str(self.folder), "-c", str(config)]
