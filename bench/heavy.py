# SPDX-License-Identifier: MIT
"""An application that takes about half a second until it can answer: imports, templates, a table.

Each answer tells how many requests its process has had since.
"""

import itertools
import math
import re

import jinja2
import sqlalchemy.orm
from flask import Flask, render_template

TOPICS = ("flora", "fauna", "rivers", "roads", "towns", "hills", "lakes", "ruins")
ROWS = 40
PAGE = """<!doctype html><title>{{ topic|title }}</title>
{% macro cell(value) %}<td{% if value is number %} class="number"{% endif %}>{{ value }}</td>{% endmacro %}
<h1>TOPIC: {{ topic }}</h1><table>
{% for row in rows %}<tr class="{{ loop.cycle('odd', 'even') }}">
{{ cell(row.number) }}{{ cell(row.name) }}{{ cell("%.4f"|format(row.size)) }}
</tr>{% else %}<tr><td>nothing</td></tr>
{% endfor %}</table>
<p>Request {{ served }} of this process.</p>
"""


class Base(sqlalchemy.orm.DeclarativeBase):
    """Of the classes that are mapped, as an application with a database has them."""


def mapped(topic):
    """Return a class of rows about *topic*; nothing is stored."""
    columns = {name: sqlalchemy.Column(name, sqlalchemy.String(100)) for name in ("name", "place")}
    key = sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True)
    return type(topic.title(), (Base,), {"__tablename__": topic, "id": key, **columns})


def primes(limit):
    """Return the primes below *limit*."""
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"
    for number in range(2, math.isqrt(limit) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return list(itertools.compress(range(limit), sieve))


MAPPED = {topic: mapped(topic) for topic in TOPICS}
sqlalchemy.orm.configure_mappers()
SIZES = {number: math.log(number) for number in primes(400_000)}
WORDS = [
    re.compile(rf"\b({topic}|{topic[::-1]})\w*(?=[.,;]|\s{{{n}}})")
    for n, topic in enumerate(TOPICS)
]

application = Flask(__name__)
application.jinja_loader = jinja2.DictLoader(
    {f"{topic}.html": PAGE.replace("TOPIC", topic) for topic in TOPICS}
)
for one in TOPICS:
    application.jinja_env.get_template(f"{one}.html")
served = 0


@application.get("/")
def page():
    """Show a part of the table."""
    global served
    served += 1
    rows = [
        {"number": number, "name": f"{TOPICS[0]} {number}", "size": size}
        for number, size in itertools.islice(SIZES.items(), ROWS)
    ]
    return render_template(f"{TOPICS[0]}.html", topic=TOPICS[0], rows=rows, served=served)
