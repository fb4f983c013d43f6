# SPDX-License-Identifier: MIT
"""A program that uses flup, run with flup itself or with lwcgi in its place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from demo_apps.stage import free_port
from tests.harness import processes, waiting
from tests.harness.client import Connection
from tests.harness.gateway import ROOT
from tests.harness.running import come_up, stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.client import Address, Answer
    from tests.harness.processes import Process

SCRIPT = ROOT / "tests" / "apps" / "flup_script.py"
IMPORT = "from flup.server.fcgi import WSGIServer"
LWCGI = "lwcgi.flup"


class Program:
    """A running copy of the program.

    Parameters:
        module: where it gets WSGIServer from.
        tcp: it listens on a port of 127.0.0.1 instead of a Unix socket.
        arguments: more of its arguments.
        environ: more environment variables.
        listener: a listening socket that it gets as descriptor 0 instead.
        mask: its umask.
        as_module: run by ``python -m``.
    """

    def __init__(
        self,
        module: str = LWCGI,
        *arguments: str,
        tcp: bool = False,
        environ: Mapping[str, str] | None = None,
        listener: socket.socket | None = None,
        mask: int = 0o022,
        as_module: bool = False,
    ) -> None:
        self.module = module
        self._arguments = arguments
        self._tcp = tcp
        self._environ = dict(environ or {})
        self._listener = listener
        self._mask = mask
        self._as_module = as_module
        self._mark = f"lwcgi-test-{uuid.uuid4().hex}"

    def write(self, folder: Path) -> None:
        """Put the program into *folder*."""
        self.folder = folder
        self.script = folder / "program.py"
        text = SCRIPT.read_text()
        assert text.count(IMPORT) == 1
        self.script.write_text(text.replace(IMPORT, f"from {self.module} import WSGIServer"))

    def command(self, address: str) -> list[str]:
        """Return what starts it."""
        start = ["-m", "program"] if self._as_module else [str(self.script)]
        return [sys.executable, "-W", "ignore", *start, address, *self._arguments]

    @property
    def variables(self) -> dict[str, str]:
        """The environment it gets."""
        own = {"PROGRAM_MARK": self._mark, "PYTHONPATH": str(self.folder)}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LWCGI_", "FCGI_"))}
        return inherited | own | {"LWCGI_WORKERS": "2", "LWCGI_NO_WARMUP": "1"} | self._environ

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="lwcgi-flup-")
        self.write(Path(self._temporary.name))
        self.address: Address = str(self.folder / "socket")
        name = "socket"  # relative to where it is started
        if self._tcp:
            port = free_port()
            self.address, name = ("127.0.0.1", port), str(port)
        if self._listener:
            self.address, name = self._listener.getsockname(), "-"
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                self.command(name),
                stdin=self._listener or subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=self.variables,
                umask=self._mask,
            )
        come_up(self._is_up, self.module, self.output, self._take_down)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            # flup's own servers are not what is tested: they are killed.
            if self.module == LWCGI and self.process.poll() is None:
                self.stop(signal.SIGTERM)
            left = processes.marked(self._mark)
        finally:
            self._take_down()
        assert error[0] or self.module != LWCGI or not left, f"left behind: {left}"

    def stop(self, number: int) -> int:
        """Send a signal, wait for the program's end and return its exit code."""
        return stop(self.process, number, self.output, waiting.patience)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, f"it ended with code {self.process.returncode}"
        try:
            with self.connect() as connection:
                return connection.get("/empty").status == 404
        except (FileNotFoundError, ConnectionError):
            return False

    def _take_down(self) -> None:
        for process in processes.marked(self._mark):
            os.kill(process.pid, signal.SIGKILL)
        self.process.wait(20)
        self._temporary.cleanup()

    def connect(self) -> Connection:
        """Return a new connection."""
        return Connection(self.address)

    def get(self, target: str, **more: str) -> Answer:
        """Return the answer to a GET request."""
        with self.connect() as connection:
            return connection.get(target, **more)

    def post(self, target: str, body: bytes, **more: str) -> Answer:
        """Return the answer to a POST request."""
        with self.connect() as connection:
            return connection.post(target, body, **more)

    def processes(self) -> list[Process]:
        """Return all its live processes."""
        return processes.marked(self._mark)

    def output(self) -> str:
        """Return what it has written so far."""
        return (self.folder / "output").read_text(errors="replace")

    def left(self, what: str) -> list[str]:
        """Return the lines of a file that the program writes beside itself."""
        file = Path(f"{self.script}.{what}")
        return file.read_text().splitlines() if file.exists() else []
