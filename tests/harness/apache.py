# SPDX-License-Identifier: MIT
"""Apache in front of a gateway, as docs/deployment.md has it."""

from __future__ import annotations

from demo_apps.stage import free_port
from tests.harness.documented import adapted, block
from tests.harness.webserver import WebServer

_MODULES = (
    "mpm_event", "authn_core", "authz_core", "auth_basic", "proxy", "proxy_fcgi", "authnz_fcgi",
)  # fmt: skip
# Without User, children of a server that root started stay root, which may open the socket.
_CONFIG = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
DocumentRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
ErrorLog {folder}/error.log
KeepAliveTimeout 1
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
"""


class Apache(WebServer):
    """Apache, speaking HTTP on a port of 127.0.0.1.

    Parameters:
        gateway: path of the gateway's socket.
        keep: connections to the gateway are kept (enablereuse=on).
        authorizer: port of a gateway that is asked for everything below /private/.
    """

    program = "apache2"
    package = "apache2-bin"

    def __init__(self, gateway: str, keep: bool = False, authorizer: int | None = None) -> None:
        self._gateway = gateway
        self._keep = keep
        self._authorizer = authorizer

    def _prepare(self) -> list[str]:
        self.address = ("127.0.0.1", free_port())
        changes = {"/run/myapp/lwcgi.sock": self._gateway}
        if self._keep:
            changes['fcgi://localhost/"'] = 'fcgi://localhost/" enablereuse=on'
        config = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in _MODULES
        )
        config += _CONFIG.format(port=self.address[1], folder=self.folder)
        config += adapted(_documented("myapp.conf"), changes)
        if self._authorizer:
            port = {"127.0.0.1:9001": f"127.0.0.1:{self._authorizer}"}
            config += adapted(_documented("myapp-private.conf"), port)
        file = self.folder / "apache2.conf"
        file.write_text(config)
        return ["-d", str(self.folder), "-f", str(file), "-DFOREGROUND"]


def _documented(file: str) -> str:
    return block("deployment.md", f"# /etc/apache2/conf-available/{file}")
