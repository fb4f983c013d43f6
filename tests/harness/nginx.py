# SPDX-License-Identifier: MIT
"""A real nginx with a configuration of its own, in a temporary prefix."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.harness.waiting import until

BINARY = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

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


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Nginx:
    """nginx in front of a gateway, speaking HTTP on a Unix socket.

    Parameters:
        gateway: path of the gateway's socket.
        keep: connections to the gateway are kept (fastcgi_keep_conn on).
        location: more directives for the one location.

    The parameters sent are those of the system's own fastcgi_params, which is what the users of a
    Debian package have.
    """

    def __init__(self, gateway: str, keep: bool = False, location: str = "") -> None:
        self._gateway = gateway
        self._keep = keep
        self._location = location

    def __enter__(self) -> Self:
        assert BINARY, "nginx is missing: apt-get install nginx-light"
        self.folder = Path(tempfile.mkdtemp(prefix="lwcgi-nginx-"))
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
        with open(self.folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                [BINARY, "-p", str(self.folder), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            until(self._is_up, "nginx to come up")
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._take_down()

    def _is_up(self) -> bool:
        said = (self.folder / "output").read_text()
        assert self._process.poll() is None, f"nginx ended: {said}"
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.folder / "http"))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _take_down(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self) -> http.client.HTTPConnection:
        """Return a new HTTP connection."""
        return _Connection(str(self.folder / "http"))

    def request(
        self,
        target: str,
        method: str = "GET",
        body: object = None,
        headers: dict[str, str] | None = None,
        chunked: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body of one request.

        Raises:
            http.client.IncompleteRead: the answer was cut off.
        """
        connection = self.connect()
        try:
            connection.request(method, target, body, headers or {}, encode_chunked=chunked)  # type: ignore[arg-type]
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, answer.read()
        finally:
            connection.close()

    def error_log(self) -> str:
        """Return nginx's error log."""
        return (self.folder / "error.log").read_text(errors="replace")
