# SPDX-License-Identifier: MIT
"""Caddy in front of a gateway, as docs/deployment.md has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo_apps.stage import free_port
from tests.harness.documented import adapted, block
from tests.harness.webserver import WebServer

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = "{\n\tadmin off\n}\n"


class Caddy(WebServer):
    """Caddy, speaking HTTP on a port of 127.0.0.1.

    Parameters:
        gateway: path of the gateway's socket.
    """

    program = "caddy"
    package = "caddy"

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway

    def _prepare(self) -> list[str]:
        self.address = ("127.0.0.1", free_port())
        changes = {
            "/run/myapp/lwcgi.sock": self._gateway,
            "http://localhost:8000": f"http://localhost:{self.address[1]}",
        }
        config = self.folder / "Caddyfile"
        config.write_text(
            _OPTIONS + adapted(block("deployment.md", "# /etc/caddy/Caddyfile"), changes)
        )
        return ["run", "--config", str(config), "--adapter", "caddyfile"]

    def _environ(self) -> Mapping[str, str]:
        """Return where it puts its state: nothing outside the folder."""
        return dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(self.folder))

    def error_log(self) -> str:
        """Return what it wrote to standard error."""
        return (self.folder / "output").read_text(errors="replace")
