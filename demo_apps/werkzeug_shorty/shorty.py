# SPDX-License-Identifier: MIT
"""Short addresses for long ones: werkzeug's routing, requests and responses, and sqlite.

The codes are drawn at random, by a module that was loaded once for all requests.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import escape
from pathlib import Path
from string import Template, ascii_letters, digits
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, MapAdapter, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

SCHEMA = """
CREATE TABLE IF NOT EXISTS link (
    code TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    visits INTEGER NOT NULL DEFAULT 0
)
"""
ROUTES = Map(
    [
        Rule("/", methods=["GET"], endpoint="index"),
        Rule("/", methods=["POST"], endpoint="shorten"),
        Rule("/<code>", methods=["GET"], endpoint="follow"),
        Rule("/<code>/about", methods=["GET"], endpoint="about"),
    ]
)
PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shorty</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; margin-bottom: .5rem }
p, li { overflow-wrap: anywhere }
</style>
<h1>Shorty</h1>
$body
</html>
""")
FORM = """<form method="post">
<input type="url" name="target" required placeholder="https://…" aria-label="Address">
<button>Make it short</button>
</form>"""
SYMBOLS = ascii_letters + digits
CODE_LENGTH = 6
LONGEST_TARGET = 2000

database = Path(os.environ.get("SHORTY_DATABASE", Path(__file__).with_name("shorty.sqlite")))


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction: all of it is stored at the end, or nothing."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        with connection:
            yield connection


def page(body: str) -> Response:
    """Return *body*, which is HTML, as a page."""
    return Response(PAGE.substitute(body=body), mimetype="text/html")


def index(request: Request, urls: MapAdapter) -> Response:
    """Show the form, with the newest links below it."""
    with transaction() as stored:
        links = stored.execute("SELECT * FROM link ORDER BY rowid DESC LIMIT 20").fetchall()
    return page(f"{FORM}<ul>{''.join(f'<li>{shown(link, urls)}</li>' for link in links)}</ul>")


def shorten(request: Request, urls: MapAdapter) -> Response:
    """Store an address under a code of its own, and lead to what is known about it."""
    target = request.form.get("target", "").strip()
    if not is_web_address(target):
        raise BadRequest(f"Give an http or https address of at most {LONGEST_TARGET} characters.")
    code = "".join(secrets.choice(SYMBOLS) for _ in range(CODE_LENGTH))
    with transaction() as stored:
        # One code in 56 thousand millions is taken; then the visitor sees an error and tries again.
        stored.execute("INSERT INTO link (code, target) VALUES (?, ?)", (code, target))
    return redirect(urls.build("about", {"code": code}), 303)


def follow(request: Request, urls: MapAdapter, code: str) -> Response:
    """Lead to the address behind *code*, and count the visit."""
    with transaction() as stored:
        query = "UPDATE link SET visits = visits + 1 WHERE code = ? RETURNING target"
        found = stored.execute(query, (code,)).fetchone()
    if found is None:
        raise NotFound
    answer = redirect(found["target"])
    answer.headers["Cache-Control"] = "no-store"  # or only first visits would be counted
    return answer


def about(request: Request, urls: MapAdapter, code: str) -> Response:
    """Tell where *code* leads, and how often it has."""
    with transaction() as stored:
        link = stored.execute("SELECT * FROM link WHERE code = ?", (code,)).fetchone()
    if link is None:
        raise NotFound
    return page(f"<p>{shown(link, urls)}</p><p>Made {link['made']} UTC.</p>")


def shown(link: sqlite3.Row, urls: MapAdapter) -> str:
    """Return the HTML of a link: code, target, visits."""
    short = urls.build("follow", {"code": link["code"]})
    return (
        f'<a href="{escape(short)}">{escape(link["code"])}</a> leads to '
        f"{escape(link['target'])} and was followed {link['visits']} times."
    )


def is_web_address(text: str) -> bool:
    """Tell whether a browser may be sent there: no ``javascript:``, no address of this page."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= LONGEST_TARGET
    )


PAGES: dict[str, Any] = {"index": index, "shorten": shorten, "follow": follow, "about": about}


@Request.application
def application(request: Request) -> Response | HTTPException:
    """Serve one request."""
    urls = ROUTES.bind_to_environ(request)
    try:
        endpoint, values = urls.match()
        answer: Response = PAGES[endpoint](request, urls, **values)
    except HTTPException as error:
        return error
    return answer


# Once, while the application loads; the connection is closed before it is frozen.
with transaction() as first:
    first.execute(SCHEMA)
