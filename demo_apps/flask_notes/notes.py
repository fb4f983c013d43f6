# SPDX-License-Identifier: MIT
"""A notebook: Flask, templates, sqlite, files up and down, one streamed page.

It is written for a server that starts every request from a snapshot: what must
last is in the database, and the database is opened by the request that needs it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from flask import (
    Flask,
    Response,
    abort,
    g,
    redirect,
    render_template,
    request,
    send_from_directory,
    stream_with_context,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY,
    written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    text TEXT NOT NULL,
    file_name TEXT
)
"""

application = Flask(__name__)
application.config["MAX_CONTENT_LENGTH"] = 128 << 20
folder = Path(os.environ.get("NOTES_DIR", application.instance_path))
served = 0


def connect() -> sqlite3.Connection:
    """Open the database; rows can be read by name."""
    connection = sqlite3.connect(folder / "notes.sqlite")
    connection.row_factory = sqlite3.Row
    return connection


def database() -> sqlite3.Connection:
    """Return this request's connection."""
    if "database" not in g:
        g.database = connect()
    connection: sqlite3.Connection = g.database
    return connection


@application.before_request
def count() -> None:
    """Count the requests this process has served; the page shows it."""
    global served
    served += 1


@application.teardown_appcontext
def close(_: BaseException | None) -> None:
    """Close this request's connection, if it opened one."""
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


@application.get("/")
def index() -> str:
    """Show the notes, newest first, and the form for the next."""
    notes = database().execute("SELECT * FROM note ORDER BY id DESC LIMIT 100").fetchall()
    return render_template("index.html", notes=notes, served=served, pid=os.getpid())


@application.post("/")
def write() -> AnyResponse:
    """Store a note, and the file that came with it."""
    text = request.form.get("text", "").strip()
    upload = request.files.get("file")
    name = Path(upload.filename).name if upload and upload.filename else None
    if not text and not name:
        abort(400, "Write a text or choose a file.")
    with database() as transaction:
        added = transaction.execute(
            "INSERT INTO note (text, file_name) VALUES (?, ?)", (text, name)
        )
        if upload and name:
            # Within the transaction: a note never names a file that was not stored.
            upload.save(folder / str(added.lastrowid))
    return redirect(url_for("index"), 303)


@application.get("/<int:number>/file")
def download(number: int) -> Response:
    """Send the file of note *number* under the name it came with."""
    query = "SELECT file_name FROM note WHERE id = ? AND file_name IS NOT NULL"
    note = database().execute(query, (number,)).fetchone()
    if note is None:
        abort(404)
    name = note["file_name"]
    return send_from_directory(folder, str(number), as_attachment=True, download_name=name)


@application.post("/<int:number>/delete")
def delete(number: int) -> AnyResponse:
    """Remove note *number* and its file."""
    with database() as transaction:
        transaction.execute("DELETE FROM note WHERE id = ?", (number,))
    (folder / str(number)).unlink(missing_ok=True)
    return redirect(url_for("index"), 303)


@application.get("/export.txt")
def export() -> Response:
    """Stream all notes as text, row by row, however many there are."""

    def lines() -> Iterator[str]:
        for note in database().execute("SELECT * FROM note ORDER BY id"):
            yield f"{note['id']}\t{note['written']}\t{note['text']!r}\t{note['file_name'] or '-'}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


# Once, while the application loads; the connection is closed before it is frozen.
folder.mkdir(parents=True, exist_ok=True)
with connect() as first:
    first.execute(SCHEMA)
first.close()
