# SPDX-License-Identifier: MIT
"""Ways to serve requests of which none sees another, and lwcgi's engine none beside them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import RECYCLING, ROOT, gunicorn
from demo_apps.stage import Site, lwcgi_site
from lwcgi.engines import ENGINES


def installed(program: str) -> str:
    """Return the path of a server's program, also where a user's PATH has no sbin."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    return shutil.which(program, path=path) or program


FCGIWRAP = installed("fcgiwrap")

_CGI = """#!{python}
import sys
from wsgiref.handlers import CGIHandler

sys.path.insert(0, {root!r})
from {module} import {name}

CGIHandler().run({name})
"""


@dataclass(frozen=True)
class Way:
    """One of them.

    Parameters:
        name: as printed.
        site: makes its place on a stage, of an application's target and a folder for files.
        engine: of lwcgi.
    """

    name: str
    site: Callable[[str, Path], Site]
    engine: str = ""

    def lacks(self) -> str:
        """Return what the engine lacks here; empty where it can run, or there is none."""
        return ENGINES[self.engine].examine().lacks if self.engine else ""


def _lwcgi(engine: str, *options: str) -> Callable[[str, Path], Site]:
    def site(target: str, folder: Path) -> Site:
        # No limit: what is measured may be emulated.
        given = ("--startup-timeout", "0", *options)
        return lwcgi_site(target, ROOT, *given, engine=engine, keep=1)

    return site


def _cgi(target: str, folder: Path) -> Site:
    """Return the site of a program that fcgiwrap starts for each request."""
    module, _, name = target.partition(":")
    program = folder / "program.cgi"
    program.write_text(_CGI.format(python=sys.executable, root=str(ROOT), module=module, name=name))
    program.chmod(0o755)
    # nginx hands on what CGI asks for; only which program it is, it does not know.
    directives = f"fastcgi_param SCRIPT_FILENAME {program}; fastcgi_read_timeout 600s;"
    command = (FCGIWRAP, "-c", "1", "-s", "unix:{socket}")
    return Site("", command, folder, directives=directives, management=False)


def _recycling(target: str, folder: Path) -> Site:
    return gunicorn("--max-requests", "1", target=target)


def _preloaded(target: str, folder: Path) -> Site:
    return RECYCLING.site(target)


NONE = Way("none", _lwcgi("none"), "none")
CGI = Way("CGI", _cgi)
WAYS = (
    NONE,
    Way("rewind", _lwcgi("rewind"), "rewind"),
    Way("lwc, reset", _lwcgi("lwc"), "lwc"),
    Way("lwc, create", _lwcgi("lwc", "--lwc-way", "create"), "lwc"),
    Way("fork", _lwcgi("fork"), "fork"),
    CGI,
    Way("gunicorn, not preloaded", _recycling),
    Way(RECYCLING.name, _preloaded),
)
