# SPDX-License-Identifier: MIT
"""Applications that hold files open when they are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness import Gateway

if TYPE_CHECKING:
    from pathlib import Path

# Each leaves flags on its descriptor that only make sense when a path is opened.
APP = """\
import os, sqlite3, tempfile

unnamed = tempfile.TemporaryFile()
named = tempfile.NamedTemporaryFile()
database = sqlite3.connect(os.environ["ACTS_FOLDER"] + "/base.db")
database.execute("create table t (n)")
database.commit()
directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
unnamed.write(b"frozen")
unnamed.flush()

def app(environ, start_response):
    unnamed.seek(0)
    text = unnamed.read()
    named.write(b"more")
    named.flush()
    os.fstat(directory)
    database.execute("insert into t values (1)")
    database.commit()
    (count,) = database.execute("select count(*) from t").fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s %d %d" % (text, count, named.tell())]
"""


def test_temporary_files_and_databases_are_opened_anew(tmp_path: Path) -> None:
    """Files without a name, files opened with O_NOFOLLOW, and directories work in every request."""
    (tmp_path / "holder.py").write_text(APP)
    with Gateway("holder:app", options={"pythonpath": tmp_path}) as gateway:
        # What is in files stays; offsets are those of the snapshot.
        assert [gateway.get("/").body for _ in range(3)] == [
            b"frozen 1 4", b"frozen 2 4", b"frozen 3 4",
        ]  # fmt: skip
