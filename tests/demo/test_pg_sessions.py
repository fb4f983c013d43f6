# SPDX-License-Identifier: MIT
"""What requests leave behind in a PostgreSQL session, and what may be open when it is frozen."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.contract.promises import Verified
from tests.harness import until
from tests.harness.gateway import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo_apps.postgres import Postgres
    from tests.demo.conftest import Variant
    from tests.harness import Gateway

    Outside = Callable[[str], list[tuple[Any, ...]]]

APP = "tests.apps.pg_sessions:app"
CLEAN = {"timeout": "0", "has_table": False, "has_lock": False, "rows": 0}
SESSIONS = "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'served' ORDER BY pid"


@pytest.fixture
def outside(postgres: Postgres) -> Iterator[Outside]:
    """Query the server from a session of the test's own, with an empty table `visited`."""
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as session:
        session.execute("CREATE TABLE IF NOT EXISTS visited (n int)")
        session.execute("TRUNCATE visited")
        yield lambda query: session.execute(query).fetchall()


@pytest.fixture(params=["kept", "pooled", "engine"])
def way(request: pytest.FixtureRequest) -> str:
    """Where the application's connection comes from."""
    name: str = request.param
    return name


def environ(postgres: Postgres, way: str) -> dict[str, str]:
    """Return what tells the application where to connect and how."""
    return {"PG_SESSIONS": way, "PG_NOTES_DSN": f"{postgres.dsn} application_name=served"}


@pytest.fixture
def served(variant: Variant, way: str, postgres: Postgres, outside: Outside) -> Iterator[Gateway]:
    """The application, served by one worker; where it should be, seen to leave nothing behind."""
    options = {option.removeprefix("--"): True for option in variant.options}
    with Verified(APP, variant.engine, options, environ(postgres, way)) as gateway:
        yield gateway


TRACES: dict[str, dict[str, object]] = {
    "/set": {"timeout": "123s"},
    "/table": {"has_table": True},
    "/lock": {"has_lock": True},
}


def test_session_state(served: Gateway, variant: Variant, outside: Outside) -> None:
    """A session's setting, temporary table and lock meet the next request only without isolation."""
    expected = {**CLEAN, "session": served.get("/state").json()["session"]}
    for act, trace in TRACES.items():
        served.get(act).json()
        after = served.get("/state").json()
        if variant.isolates:
            assert after["session"] != expected["session"]
            expected["session"] = after["session"]
        else:
            expected |= trace
        assert after == expected
    if variant.isolates:
        # Soon, not at once: the server has to see that the connection was closed.
        until(lambda: not outside(SESSIONS), "the server to end the sessions")
        assert outside("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


@pytest.mark.parametrize("way", ["kept"], indirect=True)
def test_open_transaction(served: Gateway, variant: Variant, outside: Outside) -> None:
    """A transaction left open is rolled back by the server; not isolated, the next request commits it."""
    served.get("/insert").json()
    if variant.isolates:
        until(lambda: not outside(SESSIONS), "the server to end the session")
    else:
        assert [state for _, state in outside(SESSIONS)] == ["idle in transaction"]
    assert served.get("/state").json()["rows"] == (0 if variant.isolates else 1)
    assert outside("SELECT count(*) FROM visited") == [(0 if variant.isolates else 1,)]


def check(postgres: Postgres, way: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Load the application as `lwcgi run` would, with a warm-up request that connects."""
    return subprocess.run(
        [sys.executable, "-m", "lwcgi", "check", "--warmup", "/state", APP],
        cwd=ROOT,
        env=os.environ | environ(postgres, way) | more,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_open_connection_is_refused(postgres: Postgres, outside: Outside, way: str) -> None:
    """A connection that is open at freezing time is refused by name; so are a pool's threads."""
    done = check(postgres, way, PG_NO_HOOK="1")
    assert done.returncode == 5, done.stderr
    assert f"AF_UNIX SOCK_STREAM connected to {postgres.folder}/.s.PGSQL.5432" in done.stderr
    assert (
        "close the connection (or the pool, or the event loop) in a before_snapshot" in done.stderr
    )
    assert ("psycopg_pool.pool" in done.stderr) == (way == "pooled")


def test_the_recipes_pass(postgres: Postgres, outside: Outside) -> None:
    """With its hook in place, a pool and an engine may have served warm-up requests."""
    for way in ("pooled", "engine"):
        done = check(postgres, way)
        assert done.returncode == 0, done.stderr
        assert "warm-up: GET /state: 200 OK" in done.stderr
