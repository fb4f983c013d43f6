# SPDX-License-Identifier: MIT
"""An application that leaves all kinds of things behind in its PostgreSQL session.

PG_SESSIONS says where its connection comes from: `kept` (a global, opened when it is first needed
and never closed, as careless code does), or a module of demo_apps/pg_notes. With PG_NO_HOOK set,
that module's hooks are not.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from importlib import import_module

import psycopg
from psycopg.rows import dict_row

from lwcgi import hooks

ACTS = {
    "/set": "SET statement_timeout = '123s'",
    "/table": "CREATE TEMP TABLE left_behind (x int)",
    "/lock": "SELECT pg_advisory_lock(42)",
    "/insert": "INSERT INTO visited VALUES (1)",
}
STATE = """
SELECT pg_backend_pid() AS session,
       current_setting('statement_timeout') AS timeout,
       to_regclass('pg_temp.left_behind') IS NOT NULL AS has_table,
       EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS has_lock,
       (SELECT count(*) FROM visited) AS rows
"""

kept = None


@contextmanager
def keep():
    """Yield the one connection there is, and leave it as it is."""
    global kept
    if kept is None:
        kept = psycopg.connect(os.environ["PG_NOTES_DSN"])
    yield kept


way = os.environ["PG_SESSIONS"]
connection = keep if way == "kept" else import_module(f"demo_apps.pg_notes.{way}").connection
if "PG_NO_HOOK" in os.environ:
    hooks._before_snapshot.clear()


def app(environ, start_response):
    """Make the mess of an act, or tell the session's state."""
    path = environ["PATH_INFO"]
    told = None
    with connection() as session:
        if path in ACTS:
            session.execute(ACTS[path])
        else:
            told = session.cursor(row_factory=dict_row).execute(STATE).fetchone()
        if way == "kept" and path != "/insert":
            session.commit()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
