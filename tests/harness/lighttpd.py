# SPDX-License-Identifier: MIT
"""lighttpd in front of a gateway, as docs/deployment.md has it."""

from __future__ import annotations

from demo_apps.stage import free_port
from tests.harness.documented import adapted, block
from tests.harness.webserver import WebServer

_CONFIG = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{folder}"
server.errorlog = "{folder}/error.log"
server.upload-dirs = ( "{folder}" )
server.modules = ()
"""
_STREAMING = "server.stream-request-body = 2\nserver.stream-response-body = 2"


class Lighttpd(WebServer):
    """lighttpd, speaking HTTP on a port of 127.0.0.1.

    Parameters:
        gateway: path of the gateway's socket.
        streaming: bodies are passed on as they come, in both directions.
        authorizer: path of the socket of a gateway that is asked for everything below /private/.
        starts: a program that lighttpd starts by itself; it gets the gateway's socket.
    """

    program = "lighttpd"
    package = "lighttpd"

    def __init__(
        self,
        gateway: str,
        streaming: bool = False,
        authorizer: str | None = None,
        starts: str | None = None,
    ) -> None:
        self._gateway = gateway
        self._streaming = streaming
        self._authorizer = authorizer
        self._starts = starts

    def _prepare(self) -> list[str]:
        self.address = ("127.0.0.1", free_port())
        changes = {"/run/myapp/lwcgi.sock": self._gateway}
        file = "50-myapp.conf"
        if self._streaming:
            changes["server.stream-response-body = 1"] = _STREAMING
        if self._authorizer:
            changes["/run/myapp/authorizer.sock"] = self._authorizer
            file = "50-myapp-private.conf"
        if self._starts:
            own = f'"bin-path" => "{self._starts}", "max-procs" => 1, "check-local"'
            changes['"check-local"'] = own
        documented = block("deployment.md", f"# /etc/lighttpd/conf-available/{file}")
        config = self.folder / "lighttpd.conf"
        config.write_text(
            _CONFIG.format(port=self.address[1], folder=self.folder) + adapted(documented, changes)
        )
        return ["-D", "-f", str(config)]
