# SPDX-License-Identifier: MIT
"""The notebook in PostgreSQL behind a real nginx, with each of its three ways to connect."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import psycopg
import pytest

from demo_apps.stage import DEMO_APPS, Stage, fetch, lwcgi_site
from tests.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_apps.postgres import Postgres
    from tests.demo.conftest import Variant

WAYS = ("direct", "pooled", "engine")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def stage(variant: Variant, nginx: str, postgres: Postgres) -> Iterator[Stage]:
    """The notebook three times, on one empty table; nothing in a log may be worth a warning."""
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as session:
        session.execute("DROP TABLE IF EXISTS note")
    sites = tuple(
        lwcgi_site(
            "validated:pg_notes",
            Path(__file__).parent,
            f"--pythonpath={DEMO_APPS / 'pg_notes'}",
            *variant.options,
            *("--warmup", "/", "--warmup", "/export.txt", "--warmup", "/nothing"),
            engine=variant.engine,
            mount=f"/{way}",
            workers=2,
            environ=(
                ("PG_NOTES_DSN", f"{postgres.dsn} application_name=notes"),
                ("PG_NOTES_CONNECT", way),
                ("PYTHONWARNINGS", "error"),
            ),
        )
        for way in WAYS
    )
    told = len(postgres.log())
    with Stage(nginx, 0, sites) as running:
        yield running
        for way in WAYS:
            assert variant.complaints(running.log(way)) == []
    assert not re.findall("(?m)^.*(?:FATAL|ERROR|WARNING|unexpected EOF).*$", postgres.log()[told:])


def write(stage: Stage, way: str, text: str) -> int:
    """Send the form; return the status."""
    body = urlencode({"text": text}).encode()
    return fetch(stage.port, "POST", f"/{way}/", body, Content_Type=FORM)[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_note_is_kept_until_deleted(stage: Stage, way: str) -> None:
    """What one gateway stores the others show, escaped, until it is deleted."""
    assert write(stage, way, "Grüße <b> 'quoted'\0 %s") == 303
    pages = [stage.get(f"/{other}/")[1].decode() for other in WAYS]
    assert all("Grüße &lt;b&gt; &#39;quoted&#39; %s" in page for page in pages)
    assert "Grüße <b>" in stage.get(f"/{way}/export.txt")[1].decode()
    found = re.search(rf'action="(/{way}/\d+/delete)"', pages[WAYS.index(way)])
    assert found
    assert fetch(stage.port, "POST", found[1])[0] == 303
    assert b"Gr\xc3\xbc\xc3\x9fe" not in stage.get(f"/{way}/")[1]
    assert write(stage, way, " \0 ") == 400


@pytest.mark.parametrize("way", WAYS)
def test_whose_session_it_is(stage: Stage, way: str, variant: Variant) -> None:
    """Isolated, each request has a session of its own; otherwise each process keeps what it pools."""
    sessions = []
    for _ in range(6):
        found = re.search(rb"PostgreSQL session (\d+)", stage.get(f"/{way}/")[1])
        assert found
        sessions.append(found[1])
    if variant.isolates or way == "direct":
        assert len(set(sessions)) == 6
    else:
        assert len(set(sessions)) <= 2  # one in each worker


def test_many_at_once(stage: Stage, variant: Variant, postgres: Postgres) -> None:
    """Of 208 notes, eight at a time, none is lost or doubled; when all is quiet no session is left."""
    texts = [f"note {number}" for number in range(variant.posts)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(partial(write, stage, "direct"), texts))
    assert answers == [303] * len(texts)
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as session:
        stored = session.execute("SELECT text FROM note WHERE text LIKE 'note %'").fetchall()
        assert sorted(stored) == sorted((text,) for text in texts)
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'notes'"
        pooled = 0 if variant.isolates else 4  # at most, in two workers of two gateways

        def open_sessions() -> int:
            row = session.execute(query).fetchone()
            assert row
            count: int = row[0]
            return count

        until(lambda: open_sessions() <= pooled, "the sessions to end")
