# SPDX-License-Identifier: MIT
"""A real web server with a configuration of its own, in a temporary folder."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tests.harness.running import come_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.client import Address


class _Connection(http.client.HTTPConnection):
    """HTTP over TCP or a Unix socket."""

    def __init__(self, address: Address) -> None:
        port = None if isinstance(address, str) else address[1]
        super().__init__("localhost", port, timeout=30)
        self._address = address

    def connect(self) -> None:
        """Connect to the server."""
        self.sock = _socket(self._address)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)


def _socket(address: Address) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)


class WebServer:
    """A web server in front of a gateway; inside the context it answers.

    A subclass sets `program` and Debian's `package`, and has `_prepare`.
    """

    program: ClassVar[str]
    package: ClassVar[str]
    address: Address

    def __enter__(self) -> Self:
        binary = shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert binary, f"{self.program} is missing: apt-get install {self.package}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"lwcgi-{self.program}-"))
        arguments = self._prepare()
        with open(self.folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                [binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={**os.environ, **self._environ()},
            )
        come_up(self._is_up, self.program, self._output, self._take_down)
        return self

    def __exit__(self, *_error: object) -> None:
        self._take_down()

    def _prepare(self) -> list[str]:
        """Write the configuration into the folder, set the address; return the arguments."""
        raise NotImplementedError

    def _environ(self) -> Mapping[str, str]:
        return {}

    def _is_up(self) -> bool:
        assert self._process.poll() is None, f"it ended with code {self._process.returncode}"
        try:
            with _socket(self.address) as probe:
                probe.connect(self.address)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _output(self) -> str:
        return (self.folder / "output").read_text()

    def _take_down(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self) -> http.client.HTTPConnection:
        """Return a new HTTP connection."""
        return _Connection(self.address)

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
        """Return the server's error log."""
        return (self.folder / "error.log").read_text(errors="replace")
