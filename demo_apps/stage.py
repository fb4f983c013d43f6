# SPDX-License-Identifier: MIT
"""A real nginx in a temporary prefix, with gateways behind it, for the demo, the tests and bench/.

Nothing of the system's nginx is used but its program and its stock ``fastcgi_params`` and
``mime.types``.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

DEMO_APPS = Path(__file__).parent
STOCK_PARAMS = "/etc/nginx/fastcgi_params"
STOCK_TYPES = "/etc/nginx/mime.types"
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
ANSWER_SECONDS = 30.0

# A management record without content (FastCGI specification, section 4.1): a worker
# answers it by itself, so the application does not notice that we asked.
GET_VALUES = bytes((1, 9, 0, 0, 0, 0, 0, 0))


class StageError(Exception):
    """A program of the stage did not start or did not stop; the text says which, with its log."""


@dataclass(frozen=True)
class Site:
    """One application on the stage.

    Parameters:
        mount: URL prefix, ``""`` for all of the server or ``/path``.
        command: what serves it; ``{socket}`` stands for the Unix socket's path.
        directory: where the command is started.
        protocol: ``fastcgi`` or ``http``, as spoken on the socket.
        keep: connections that nginx keeps open to the socket; 0 for one per request.
        environ: environment variables beside the inherited ones.
        directives: more directives of nginx for this site's location.
        management: answers FastCGI's management records (section 4), and so tells when it is
            ready. Of others it is only known that their socket is there.
        static: folder that nginx itself serves below ``mount/static/``.
    """

    mount: str
    command: tuple[str, ...]
    directory: Path
    protocol: str = "fastcgi"
    keep: int = 0
    environ: tuple[tuple[str, str], ...] = ()
    directives: str = ""
    management: bool = True
    static: Path | None = None

    @property
    def name(self) -> str:
        """A word for file names, unique on a stage."""
        return self.mount.strip("/").replace("/", "-") or "root"


def lwcgi_site(
    app: str,
    directory: Path,
    *options: str,
    engine: str = "auto",
    mount: str = "",
    workers: int = 1,
    keep: int = 0,
    environ: tuple[tuple[str, str], ...] = (),
    static: Path | None = None,
) -> Site:
    """Return the site of `lwcgi run` with *app* (``module:callable``) and more *options*."""
    command = (sys.executable, "-m", "lwcgi", "run", "--bind", "unix:{socket}")
    command += ("--engine", engine, "--workers", str(workers), "--script-name", mount)
    return Site(
        mount, (*command, *options, app), directory, keep=keep, environ=environ, static=static
    )


class Stage:
    """Context manager: nginx on 127.0.0.1 and the sites behind it, all started and answering.

    Parameters:
        nginx: path of the nginx program.
        port: where nginx listens on 127.0.0.1; 0 takes a free one.
        sites: what to serve.

    Raises:
        StageError: something did not come up within READY_SECONDS; all is stopped again.
    """

    def __init__(self, nginx: str, port: int, sites: tuple[Site, ...]) -> None:
        self.nginx = nginx
        self.port = port or free_port()
        self.sites = sites
        self.prefix = Path()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Where nginx answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Stage:
        self.prefix = Path(tempfile.mkdtemp(prefix="lwcgi-stage-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def log(self, name: str) -> str:
        """Return what the site (or "nginx") has logged so far."""
        return (self.prefix / f"{name}.log").read_text(errors="replace")

    def get(self, path: str) -> tuple[int, bytes]:
        """GET *path* over a connection of its own; return status and body."""
        return fetch(self.port, "GET", path)

    def stop(self) -> None:
        """End nginx first, so that no request is cut, then the gateways; remove all files.

        Raises:
            StageError: a program did not end by itself (it was then killed).
        """
        stuck = []
        for name in ("nginx", *(site.name for site in self.sites)):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGQUIT if name == "nginx" else signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                stuck.append(f"{name} did not stop within {STOP_SECONDS:.0f} s:\n{self.log(name)}")
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.prefix, ignore_errors=True)
        if stuck:
            raise StageError("\n".join(stuck))

    def _start(self) -> None:
        _refuse_taken_port(self.port)
        for site in self.sites:
            command = [part.format(socket=self._socket(site)) for part in site.command]
            self._spawn(site.name, command, site.directory, dict(site.environ))
        for site in self.sites:
            speaks = site.protocol == "fastcgi" and site.management
            ready = _answers_fastcgi if speaks else _connects
            self._wait(site.name, partial(ready, self._socket(site)))
        config = self.prefix / "nginx.conf"
        config.write_text(self._config())
        self._spawn("nginx", [self.nginx, "-p", str(self.prefix), "-c", str(config)], self.prefix)
        self._wait("nginx", partial(_connects, ("127.0.0.1", self.port)))

    def _socket(self, site: Site) -> str:
        return str(self.prefix / f"{site.name}.sock")

    def _spawn(
        self, name: str, command: list[str], directory: Path, environ: dict[str, str] | None = None
    ) -> None:
        with open(self.prefix / f"{name}.log", "wb") as log:
            # A session of its own: Ctrl-C reaches us alone, and we stop things in order.
            self.processes[name] = subprocess.Popen(
                command,
                cwd=directory,
                env=os.environ | (environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            code = self.processes[name].poll()
            if code is not None:
                raise StageError(f"{name} ended with exit code {code}:\n{self.log(name)}")
            if time.monotonic() > deadline:
                raise StageError(f"{name} did not answer in time:\n{self.log(name)}")
            time.sleep(0.02)

    def _config(self) -> str:
        sites = [(site, self._socket(site)) for site in self.sites]
        upstreams = "".join(_upstream(site, path) for site, path in sites)
        locations = "".join(_location(site) for site in self.sites)
        # As root, nginx's workers would be another user and could not open the sockets (mode 0660).
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"    {kind}_temp_path {self.prefix}/{kind};\n"
            for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
        )
        return (
            f"{user}\ndaemon off;\nworker_processes 1;\n"
            f"pid {self.prefix}/nginx.pid;\nerror_log stderr warn;\n"
            "events { worker_connections 1024; }\n"
            "http {\n"
            f"    access_log off;\n    include {STOCK_TYPES};\n"
            "    default_type application/octet-stream;\n"
            "    client_max_body_size 64m;\n    keepalive_requests 1000000;\n"
            f"{temporary}{upstreams}"
            f"    server {{\n        listen 127.0.0.1:{self.port};\n{locations}    }}\n}}\n"
        )


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    """Make one request to 127.0.0.1:*port*; underscores in header names become dashes.

    Returns:
        Status and body.

    Raises:
        OSError, http.client.HTTPException: no complete answer came.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _upstream(site: Site, path: str) -> str:
    keep = f" keepalive {site.keep};" if site.keep else ""
    return f"    upstream {site.name} {{ server unix:{path};{keep} }}\n"


def _location(site: Site) -> str:
    if site.protocol == "http":
        kept = 'proxy_http_version 1.1; proxy_set_header Connection "";' if site.keep else ""
        directives = f"proxy_pass http://{site.name}; proxy_set_header Host $http_host; {kept}"
    else:
        kept = "fastcgi_keep_conn on;" if site.keep else ""
        directives = f"include {STOCK_PARAMS}; fastcgi_pass {site.name}; {kept}"
    locations = f"        location {site.mount}/ {{ {directives} {site.directives} }}\n"
    if site.static:
        locations += f"        location {site.mount}/static/ {{ alias {site.static}/; }}\n"
    return locations


def _connects(address: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def _answers_fastcgi(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
            probe.sendall(GET_VALUES)
            return probe.recv(1) == GET_VALUES[:1]
        except OSError:
            return False


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StageError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); "
                "choose another: make demo PORT=8001"
            ) from None
