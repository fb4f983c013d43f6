# SPDX-License-Identifier: MIT
"""A PostgreSQL server of one's own: in a temporary folder, on a Unix socket only, gone afterwards.

``python -m demo_apps.postgres`` runs one until Ctrl-C, for demo_apps/pg_notes. The tests use the
same. Nothing of the system's is used but the programs: no service, no cluster, no port.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Where Debian has them; they are not in PATH.
DEBIAN_PROGRAMS = "/usr/lib/postgresql/*/bin"
USER = "postgres"
READY_SECONDS = 30.0
STOP_SECONDS = 15.0


class PostgresError(Exception):
    """The server is not installed, or did not start or stop; the text says which, with its log."""


class Postgres:
    """Context manager: a PostgreSQL server, which answers.

    Root may not be PostgreSQL's user: started by root it runs as ``postgres``. Whoever may enter
    the folder, that is this user and root, is let in as the database's superuser.

    Parameters:
        settings: more of ``postgresql.conf``, by name.

    Raises:
        PostgresError: it is not installed, or did not come up; nothing is left of it.
    """

    def __init__(self, **settings: object) -> None:
        self.settings = {
            "listen_addresses": "",
            "fsync": "off",  # whatever it stores is thrown away in the end
            **settings,
        }
        self.folder = Path()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """How to connect, in the words of libpq."""
        return f"host={self.folder} user={USER} dbname=postgres"

    def __enter__(self) -> Postgres:
        programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="lwcgi-pg-"))
        try:
            self._start(programs)
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def log(self) -> str:
        """Return what the server has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """Disconnect everybody, stop the server and remove its folder.

        Raises:
            PostgresError: it did not stop by itself (it was then killed).
        """
        try:
            if self.process is not None:
                self.process.send_signal(signal.SIGINT)  # "fast shutdown", see postgres(1)
                self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise PostgresError(f"PostgreSQL did not stop:\n{self.log()}") from None
        finally:
            self._take_down()

    def _start(self, programs: Path) -> None:
        owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        data = self.folder / "data"
        with open(self.folder / "log", "wb") as log:
            output: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            places = {"cwd": self.folder, **owner, **output}
            command = [programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8"]
            done = subprocess.run([*command, "--no-sync", "--locale", "C"], **places)
            if done.returncode != 0:
                raise PostgresError(f"initdb failed:\n{self.log()}")
            settings = {"unix_socket_directories": self.folder, **self.settings}
            given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            # A session of its own: Ctrl-C reaches us alone, and we stop things in order.
            self.process = subprocess.Popen(
                [programs / "postgres", "-D", data, *given], **places, start_new_session=True
            )
        deadline = time.monotonic() + READY_SECONDS
        ready = [programs / "pg_isready", "--quiet", "-h", self.folder]
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not come up:\n{self.log()}")
            time.sleep(0.02)

    def _take_down(self) -> None:
        if self.process is not None and self.process.poll() is None:
            # Its children notice that it is gone, and end.
            self.process.kill()
            self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs, the newest where there are several.

    Raises:
        PostgresError: there are none.
    """
    found = [
        folder for folder in Path("/").glob(DEBIAN_PROGRAMS[1:]) if (folder / "initdb").exists()
    ]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    raise PostgresError("PostgreSQL is not installed: apt-get install postgresql")


def main() -> int:
    """Run a server until Ctrl-C; print how to connect to it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Postgres() as server:
            print(f"export PG_NOTES_DSN='{server.dsn}'")
            print("Ctrl-C ends it, and removes all that it has stored.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        pass
    except PostgresError as error:
        print(f"postgres: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
