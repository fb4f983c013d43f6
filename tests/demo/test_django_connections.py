# SPDX-License-Identifier: MIT
"""How long Django's connections to PostgreSQL last, and which of them can be frozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from demo_apps.stage import DEMO_APPS
from tests.contract.promises import Verified
from tests.harness import until
from tests.harness.gateway import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo_apps.postgres import Postgres
    from tests.demo.conftest import Variant

BOARD = DEMO_APPS / "django_board"
PERSISTENT = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
PER_REQUEST = {"CONN_MAX_AGE": 0}
POOL = {"OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}}
# Django without the board's own wsgi.py, which closes connections before the freeze.
PLAIN = ("--factory", "django.core.wsgi:get_wsgi_application")


def environ(server: Postgres, database: dict[str, object]) -> dict[str, str]:
    """Return the variables of a board on *server*."""
    return {
        "BOARD_SECRET_KEY": "of no value",
        "BOARD_PG_HOST": str(server.folder),
        "BOARD_PG": json.dumps(database),
        "DJANGO_SETTINGS_MODULE": "tests.apps.board_on_postgres",
        "PGAPPNAME": "board",
        "PYTHONPATH": f"{ROOT}:{BOARD}",
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server with the board's tables, and the board's static files beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARD_DIR", str(tmp_path_factory.mktemp("board")))
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            cwd=BOARD,
            env=os.environ | environ(postgres, PER_REQUEST),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        yield postgres


@pytest.fixture
def sessions(server: Postgres) -> Iterator[Callable[[], list[int]]]:
    """List the sessions that the board has on the server."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'board'"
    with closing(psycopg.connect(server.dsn, autocommit=True)) as session:
        yield lambda: [pid for (pid,) in session.execute(query)]


@pytest.mark.parametrize("database", [PERSISTENT, PER_REQUEST], ids=["persistent", "per request"])
def test_how_long_a_connection_lasts(
    server: Postgres,
    variant: Variant,
    database: dict[str, object],
    sessions: Callable[[], list[int]],
) -> None:
    """With CONN_MAX_AGE a process keeps its connection; isolated, it ends with its request all the same."""
    options = {"no-warmup": False, "warmup": "/accounts/login/", "workers": 1}
    options |= {option.removeprefix("--"): True for option in variant.options}
    application = "board.wsgi:application"
    with Verified(application, variant.engine, options, environ(server, database)) as gateway:
        until(lambda: not sessions(), "what warm-up has opened to end")
        seen = []
        for _ in range(3):
            answer = gateway.get("/", HTTP_HOST="localhost")
            assert (answer.status, b"Nobody has written" in answer.body) == (200, True)
            if variant.isolates or database is PER_REQUEST:
                until(lambda: not sessions(), "the request's session to end")
            else:
                seen += sessions()
        assert len(seen) == (0 if variant.isolates or database is PER_REQUEST else 3)
        assert len(set(seen)) <= 1
        assert variant.complaints(gateway.log()) == []


def check(
    server: Postgres, database: dict[str, object], *application: str
) -> subprocess.CompletedProcess[str]:
    """Load and warm up the board as `lwcgi run` would."""
    return subprocess.run(
        [sys.executable, "-m", "lwcgi", "check", "--warmup", "/", *application],
        env=os.environ | environ(server, database),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("database", "application", "refused"),
    [
        (PER_REQUEST, PLAIN, False),
        (PERSISTENT, PLAIN, True),
        (PERSISTENT, ("board.wsgi:application",), False),
        (POOL, ("board.wsgi:application",), True),
    ],
    ids=["per request", "persistent", "persistent with the hook", "pool"],
)
def test_what_can_be_frozen(
    server: Postgres, database: dict[str, object], application: tuple[str, ...], refused: bool
) -> None:
    """A persistent connection is refused by name unless a hook has closed it; Django's pool, always."""
    done = check(server, database, *application)
    assert "warm-up: GET /: 200 OK" in done.stderr
    assert done.returncode == (5 if refused else 0), done.stderr
    named = f"AF_UNIX SOCK_STREAM connected to {server.folder}/.s.PGSQL.5432"
    assert (named in done.stderr) == refused
    assert ("thread 'pool-" in done.stderr) == (database is POOL)
