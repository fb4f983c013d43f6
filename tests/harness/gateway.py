# SPDX-License-Identifier: MIT
"""A real `lwcgi run`, started for a test and taken down with everything that belongs to it."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.harness import fastcgi, processes, waiting
from tests.harness.client import Answer, Connection
from tests.harness.running import come_up, stop
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.harness.processes import Process

ROOT = Path(__file__).resolve().parents[2]
ACTS = "tests.apps.acts:app"

_LIBC = ctypes.CDLL(None)
_PR_CAPBSET_DROP = 24


def _drop_capabilities() -> None:
    """Between fork and exec: have no more rights than an ordinary user, whoever we are."""
    for capability in range(64):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


class Gateway:
    """A running gateway on a Unix socket in a directory of its own.

    Parameters:
        app: the application; it finds the directory's path in ACTS_FOLDER.
        engine: fork or none.
        options: more command-line options, by name without dashes; True stands alone.
        environ: more environment variables.
        program: what stands before `run`; the tests of mutations run another one. In it,
            {address} is the path of the gateway's socket.
        bind: what is given as --bind, by default that path.
        privileged: False takes every capability away, as from an ordinary user.

    Used as a context manager: inside, it serves; afterwards no process of it is left.

    Raises:
        NotUpError: it did not come up, with its log in the message.
    """

    def __init__(
        self,
        app: str = ACTS,
        engine: str = "fork",
        options: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "lwcgi"),
        privileged: bool = True,
        bind: Sequence[str] | None = None,
    ) -> None:
        self.app = app
        self.engine = engine
        # Many tests crash requests, and look whether the same worker goes on.
        usual = {"workers": 1, "no-warmup": True, "snapshot-max-crashes": 0}
        self.options = {**usual, **(options or {})}
        self.environ = dict(environ or {})
        self.program = list(program)
        self.privileged = privileged
        self.bind = bind
        self._mark = f"lwcgi-test-{uuid.uuid4().hex}"

    def another(self, **changes: Any) -> Gateway:
        """Return a gateway like this one, not started, with some parameters changed."""
        options = {**self.options, **changes.pop("options", {})}
        same = {
            "app": self.app,
            "engine": self.engine,
            "environ": self.environ,
            "program": self.program,
            "privileged": self.privileged,
            "bind": self.bind,
        }
        return Gateway(options=options, **(same | changes))

    def _command(self) -> list[str]:
        command = [
            *(word.replace("{address}", self.address) for word in self.program), "run", self.app,
            "--pythonpath", str(ROOT),
            "--engine", self.engine,
        ]  # fmt: skip
        for address in [f"unix:{self.address}"] if self.bind is None else self.bind:
            command += ["--bind", address]
        for name, value in self.options.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            for one in values:
                if one is not False:
                    command += [f"--{name}"] if one is True else [f"--{name}", str(one)]
        return command

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="lwcgi-"))
        if self.options.get("user"):
            user = str(self.options["user"])
            shutil.chown(self.folder, int(user) if user.isdigit() else user)
        self.address = str(self.folder / "socket")
        self._log_path = self.folder / "log"
        environ = {k: v for k, v in os.environ.items() if not k.startswith("LWCGI_")}
        environ |= {"ACTS_FOLDER": str(self.folder), "ACTS_MARK": self._mark}
        with open(self._log_path, "wb") as log:
            self.process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environ | self.environ,
                preexec_fn=None if self.privileged else _drop_capabilities,
            )
        come_up(self._is_up, "the gateway", self.log, self._take_down)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
            left = [] if error[0] else self.processes()
        finally:
            self._take_down()
        assert not left, f"processes left behind: {left}"

    def _is_up(self) -> bool:
        assert self.process.poll() is None, f"it ended with code {self.process.returncode}"
        # A worker answers this by itself: no application code runs.
        query = fastcgi.record(fastcgi.GET_VALUES, 0, fastcgi.pair(b"FCGI_MPXS_CONNS", b""))
        try:
            with Connection(self.address, 1.0) as connection:
                connection.send(query)
                return connection.receive() is not None
        except (FileNotFoundError, ConnectionRefusedError, BrokenPipeError, TimeoutError):
            return False

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Signal the supervisor, wait for its end and return its exit code."""
        return stop(self.process, number, self.log, seconds)

    def _take_down(self) -> None:
        for process in self.processes():
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[Process]:
        """Return all live processes that descend from this gateway, wherever they went."""
        return processes.marked(self._mark)

    def snapshot(self) -> int:
        """Return the pid of the snapshot process, after waiting for it where it is being replaced."""

        def find() -> list[int]:
            children = processes.children(self.process.pid)
            return [p.pid for p in children if p.session == p.pid and p.state != "Z"]

        found = until(find, "a snapshot process")
        assert len(found) == 1, f"one snapshot process expected, found {found}"
        return found[0]

    def workers(self) -> list[int]:
        """Return the pids of the live workers."""
        snapshot = self.snapshot()
        return [
            p.pid for p in processes.children(snapshot) if p.session == snapshot and p.state != "Z"
        ]

    def log(self) -> str:
        """Return what the gateway has logged so far."""
        return self._log_path.read_text(errors="replace")

    def wait_for_log(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until a regular expression is found in the log as often as asked for."""

        def found() -> list[str]:
            # The last line may be in the middle of being written.
            matches = re.findall(pattern, self.log().rpartition("\n")[0], re.MULTILINE)
            return matches if len(matches) >= times else []

        try:
            return until(found, f"{pattern!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}; the log:\n{self.log()}") from None

    def connect(self, seconds: float | None = None) -> Connection:
        """Return a new connection."""
        return Connection(self.address, seconds or 1.5 * waiting.patience)

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """Connect for one request; where its answer does not come, say what everybody does."""
        try:
            with self.connect() as connection:
                yield connection
        except TimeoutError as error:
            doing = "\n".join(processes.where(process.pid) for process in self.processes())
            error.add_note(f"{doing}\nthe end of the log:\n{self.log()[-3000:]}")
            raise

    def get(self, target: str, **more: str) -> Answer:
        """Return the answer to a GET request on a connection of its own."""
        with self._alone() as connection:
            return connection.get(target, **more)

    def post(self, target: str, body: bytes, **more: str) -> Answer:
        """Return the answer to a POST request on a connection of its own."""
        with self._alone() as connection:
            return connection.post(target, body, **more)
