# SPDX-License-Identifier: MIT
"""The servers and the applications that bench/throughput.py compares, and how each is started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from demo_apps.stage import Site, StageError, lwcgi_site

ROOT = Path(__file__).parents[1]
CONNECTIONS = 4
"""From wrk to nginx; and those that nginx keeps to a server which lets it."""
DATABASE = "BENCH_DATABASE"
"""Environment variable: the path of the sqlite file that django_sqlite.py reads. (To import it
from there would set Django up.)"""

_HELLO = re.compile(rb"Hello, world\.\n")
_PAGE = re.compile(
    rb"<!doctype html><title>Some Files</title>\n<body><h1>Some Files</h1><table>\n"
    rb"(<tr class=\"(odd|even)\">\n<td>\d+</td><td><a [^>]+>file &lt;\d+&gt;</a></td>\n"
    rb"<td>[\d.]+\xc2\xa0(bytes|KB)</td></tr>\n){20}</table></body>"
)


@dataclass(frozen=True)
class App:
    """An application.

    Parameters:
        name: as printed.
        target: as servers take it, ``module:callable``, found from ROOT.
        answer: what the whole body of its answer looks like.
        database: it reads the sqlite file that DATABASE names.
    """

    name: str
    target: str
    answer: re.Pattern[bytes]
    database: bool = False


APPS = (
    App("3-line WSGI", "demo_apps.hello.hello:application", _HELLO),
    App("Flask hello", "bench.flask_hello:application", _HELLO),
    App("Django page", "bench.django_page:application", _PAGE),
    App("Django, sqlite", "bench.django_sqlite:application", _PAGE, database=True),
)


def make_database(path: Path) -> None:
    """Fill the sqlite file *path*, which is not there yet.

    Raises:
        StageError: it could not be made; the text has the traceback.
    """
    command = [sys.executable, "-m", "bench.django_sqlite"]
    environ = os.environ | {DATABASE: str(path)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageError(f"the database for Django cannot be made:\n{done.stderr}")


def _lwcgi(engine: str, target: str) -> Site:
    return lwcgi_site(target, ROOT, engine=engine, keep=CONNECTIONS)


def _fastcgi(*command: str, management: bool = True) -> Site:
    """Return the site of a server that closes after each request or has to.

    It also takes SCRIPT_NAME and PATH_INFO from nginx as they are.
    """
    directives = "fastcgi_split_path_info ^()(/.*)$; fastcgi_param PATH_INFO $fastcgi_path_info;"
    return Site("", command, ROOT, directives=directives, management=management)


def _flup(target: str) -> Site:
    # Connections are not kept: its one worker would serve the first and no other.
    return _fastcgi(sys.executable, "-m", "bench.flup_server", target, "{socket}")


def _uwsgi(target: str) -> Site:
    program = str(Path(sys.executable).with_name("uwsgi"))
    command = (program, "--strict", "--fastcgi-socket", "{socket}", "--chmod-socket=660")
    command += ("--master", "--processes", "1", "--home", sys.prefix, "--pythonpath", str(ROOT))
    command += ("--wsgi", target, "--need-app", "--die-on-term", "--disable-logging")
    return _fastcgi(*command, management=False)


def gunicorn(*options: str, target: str) -> Site:
    """Return the site of gunicorn with one sync worker, and more *options*."""
    command = (sys.executable, "-m", "gunicorn", "--bind", "unix:{socket}", "--workers", "1")
    return Site("", (*command, *options, target), ROOT, protocol="http")


def _granian(target: str) -> Site:
    command = (sys.executable, "-m", "granian", "--interface", "wsgi", "--uds", "{socket}")
    command += ("--workers", "1", "--blocking-threads", "1", target)
    return Site("", command, ROOT, protocol="http", keep=CONNECTIONS)


@dataclass(frozen=True)
class Server:
    """A server, with what it is started with.

    Parameters:
        name: as printed.
        package: the Python package, whose version is noted with the results.
        site: makes its place on a stage, of an application's target.
        engine: of lwcgi.
    """

    name: str
    package: str
    site: Callable[[str], Site]
    engine: str = ""


NONE = Server("lwcgi none", "lwcgi", partial(_lwcgi, "none"), "none")
RECYCLING = Server(
    "gunicorn, max-requests 1",
    "gunicorn",
    lambda target: gunicorn("--preload", "--max-requests", "1", target=target),
)
SERVERS = (
    NONE,
    Server("lwcgi rewind", "lwcgi", partial(_lwcgi, "rewind"), "rewind"),
    Server("lwcgi fork", "lwcgi", partial(_lwcgi, "fork"), "fork"),
    Server("flup prefork", "flup", _flup),
    Server("uWSGI, FastCGI", "uwsgi", _uwsgi),
    Server("gunicorn sync", "gunicorn", lambda target: gunicorn(target=target)),
    Server("granian", "granian", _granian),
    RECYCLING,
)
