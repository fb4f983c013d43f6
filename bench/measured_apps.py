# SPDX-License-Identifier: MIT
"""What bench/isolation.py serves: factories of applications, each with its time stamps.

Each imports what it needs by itself, so that no image holds another's modules.
"""

from __future__ import annotations

import os
import signal

from bench.image import Image
from bench.stamps import stamped

ENDPOINTS = 20
ENDPOINT_PAGES = 100
FOLDER = "BENCH_FOLDER"
"""Environment variable: a directory to write to."""

_PLAIN = [("Content-Type", "text/plain")]


def _ending(application):
    """Return *application* with its stamps; the query string tells how a request ends."""
    measured = stamped(application)

    def ended(environ, start_response):
        end = environ["QUERY_STRING"]
        if end == "task":  # change what belongs to the process
            os.umask(0o022)
        answer = measured(environ, start_response)
        if end == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return ended


def hello():
    """Return the application of demo_apps/hello."""
    from demo_apps.hello.hello import application

    return _ending(application)


def flask():
    """Return a Flask application with one view."""
    from bench.flask_hello import application

    return _ending(application)


def django():
    """Return a Django application with one page and no database."""
    from bench.django_page import application

    return _ending(application)


def logging():
    """Return an application that logs one line to a file, which it opened before the snapshot."""
    import logging

    logger = logging.getLogger("bench")
    logger.setLevel("INFO")
    handler = logging.FileHandler(f"{os.environ[FOLDER]}/log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)

    def application(environ, start_response):
        logger.info("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        start_response("200 OK", _PLAIN)
        return [b"logged\n"]

    return stamped(application)


def sqlite():
    """Return an application that opens a database, inserts a row and commits."""
    import sqlite3

    path = f"{os.environ[FOLDER]}/db"
    with sqlite3.connect(path) as setup:
        setup.execute("create table if not exists visits (path text)")
    setup.close()

    def application(environ, start_response):
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("delete from visits")
            connection.execute("insert into visits values (?)", [environ["PATH_INFO"]])
        connection.close()
        start_response("200 OK", _PLAIN)
        return [b"written\n"]

    return stamped(application)


def synthetic():
    """Return an application that writes some pages of an image of a given size."""
    image = Image.of_environment()
    pages = int(os.environ["BENCH_PAGES"])

    def application(environ, start_response):
        image.write(0, pages)
        start_response("200 OK", _PLAIN)
        return [b"written\n"]

    return stamped(application)


def disjoint():
    """Return an application with ENDPOINTS endpoints that write pages of their own."""
    image = Image.of_environment()

    def application(environ, start_response):
        image.write(int(environ["PATH_INFO"][1:] or 0) * ENDPOINT_PAGES, ENDPOINT_PAGES)
        start_response("200 OK", _PLAIN)
        return [b"written\n"]

    return stamped(application)


def views():
    """Return a Flask application with ENDPOINTS views, each with a template and data of its own."""
    from flask import Flask, render_template
    from jinja2 import DictLoader

    application = Flask(__name__)
    names = [f"{number}.html" for number in range(ENDPOINTS)]
    row = "{% for row in rows %}<tr><td>{{ row.name }}</td><td>{{ row.size }}</td></tr>{% endfor %}"
    application.jinja_loader = DictLoader(
        {name: f"<h1>{name}</h1><table>{row}</table>" for name in names}
    )

    def view(name):
        rows = [{"name": f"row {n} of {name}", "size": 1000 + n} for n in range(20)]
        return lambda: render_template(name, rows=rows)

    for number, name in enumerate(names):
        application.add_url_rule(f"/{number}", name, view(name))
    return stamped(application)
