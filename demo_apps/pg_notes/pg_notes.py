# SPDX-License-Identifier: MIT
"""A notebook in PostgreSQL: Flask and psycopg, a connection per request.

PG_NOTES_CONNECT chooses between three ways to connect: the modules `direct`, `pooled`, `engine`.
"""

from __future__ import annotations

import importlib
import os

from flask import Flask, Response, abort, redirect, render_template_string, request, url_for
from werkzeug.wrappers import Response as AnyResponse

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    written timestamptz NOT NULL DEFAULT now(),
    text text NOT NULL CHECK (text <> '')
)
"""
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
textarea { width: 100%; box-sizing: border-box; font: inherit }
p { white-space: pre-wrap; overflow-wrap: anywhere }
</style>
<h1>Notes</h1>
<form method="post">
  <textarea name="text" rows="3" placeholder="Something to remember" aria-label="Text"></textarea>
  <button>Keep it</button>
</form>
{% for number, written, text in notes %}
<form method="post" action="{{ url_for('delete', number=number) }}">
  <p>{{ text }}</p><time>{{ written.isoformat(' ', 'seconds') }}</time> <button>delete</button>
</form>
{% endfor %}
<footer>PostgreSQL session {{ session }}, which connects by {{ way }}.</footer>
</html>
"""

way = os.environ.get("PG_NOTES_CONNECT", "direct")
if way not in ("direct", "pooled", "engine"):
    raise SystemExit(f"PG_NOTES_CONNECT is direct, pooled or engine, not {way}")
connection = importlib.import_module(way).connection
application = Flask(__name__)


@application.get("/")
def index() -> str:
    """Show the newest notes, and the form for the next."""
    with connection() as session:
        notes = session.execute(
            "SELECT id, written, text FROM note ORDER BY id DESC LIMIT 100"
        ).fetchall()
        pid = session.info.backend_pid
    return render_template_string(PAGE, notes=notes, session=pid, way=way)


@application.post("/")
def write() -> AnyResponse:
    """Store a note."""
    text = request.form.get("text", "").strip().replace("\0", "")  # which no text column takes
    if not text:
        abort(400, "Write a text.")
    with connection() as session:
        session.execute("INSERT INTO note (text) VALUES (%s)", (text,))
    return redirect(url_for("index"), 303)


@application.post("/<int:number>/delete")
def delete(number: int) -> AnyResponse:
    """Remove note *number*."""
    with connection() as session:
        session.execute("DELETE FROM note WHERE id = %s", (number,))
    return redirect(url_for("index"), 303)


@application.get("/export.txt")
def export() -> Response:
    """Send all notes as text, in the order they were written."""
    with connection() as session:
        rows = session.execute("SELECT id, written, text FROM note ORDER BY id").fetchall()
    lines = (f"{number}\t{written.isoformat()}\t{text!r}\n" for number, written, text in rows)
    return Response("".join(lines), mimetype="text/plain")


# Once, while the application loads. IF NOT EXISTS is no protection against another gateway that
# starts at the same moment; the lock is, to the end of the transaction.
with connection() as first:
    first.execute("SELECT pg_advisory_xact_lock(hashtext('pg_notes'))")
    first.execute(SCHEMA)
