# SPDX-License-Identifier: MIT
"""The URL shortener behind a real nginx."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from demo_apps.stage import DEMO_APPS, Stage, lwcgi_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.demo.conftest import Variant

LONG = "https://example.org/a/path?with=a&query=<b>#and-more"
QUOTED = "https://example.org/a/path?with=a&query=%3Cb%3E#and-more"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def database(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the links are stored."""
    return tmp_path_factory.mktemp("shorty") / "links.sqlite"


@pytest.fixture(scope="module")
def shorty(variant: Variant, nginx: str, database: Path) -> Iterator[Stage]:
    """The shortener at /s; nothing in its log may be worth a warning."""
    site = lwcgi_site(
        "validated:shorty",
        Path(__file__).parent,
        f"--pythonpath={DEMO_APPS / 'werkzeug_shorty'}",
        *variant.options,
        *("--warmup", "/", "--warmup", "/nothing/about", "--warmup", "/no/such/page"),
        engine=variant.engine,
        mount="/s",
        workers=2,
        environ=(("SHORTY_DATABASE", str(database)), ("PYTHONWARNINGS", "error")),
    )
    with Stage(nginx, 0, (site,)) as running:
        yield running
        assert variant.complaints(running.log("s")) == []


def ask(stage: Stage, method: str, path: str, **fields: str) -> tuple[int, str, str]:
    """Return status, Location and body of one request."""
    with closing(HTTPConnection("127.0.0.1", stage.port, timeout=60)) as connection:
        body = urlencode(fields) if fields else None
        connection.request(method, path, body, FORM if fields else {})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()


def shorten(stage: Stage, target: str) -> str:
    """Have *target* shortened; return the code."""
    status, location, _ = ask(stage, "POST", "/s/", target=target)
    found = re.fullmatch(r"/s/(\w{6})/about", location)
    assert status == 303
    assert found, location
    return found[1]


def test_a_link_leads_to_its_target(shorty: Stage) -> None:
    """The short address leads to the long one, whose page counts the visits; its HTML is escaped."""
    code = shorten(shorty, LONG)
    for _ in range(3):
        assert ask(shorty, "GET", f"/s/{code}")[:2] == (302, QUOTED)
    status, _, page = ask(shorty, "GET", f"/s/{code}/about")
    assert status == 200
    assert "query=&lt;b&gt;#and-more and was followed 3 times" in page
    assert f'<a href="/s/{code}">' in ask(shorty, "GET", "/s/")[2]


@pytest.mark.parametrize(
    "target",
    ["", "javascript:alert(1)", "//example.org/", "ftp://example.org/", "https://", "http://[",
     "https://example.org/" + "x" * 2000],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(shorty: Stage, target: str) -> None:
    """Only http and https addresses, with a host, of a bounded length, are taken."""
    status, _, page = ask(shorty, "POST", "/s/", target=target)
    assert status == 400
    assert "Give an http or https address" in page


def test_wrong_addresses(shorty: Stage) -> None:
    """An unknown code is a 404, a method that a page does not have a 405 with those it has."""
    assert ask(shorty, "GET", "/s/nosuch")[0] == 404
    assert ask(shorty, "GET", "/s/nosuch/about")[0] == 404
    assert ask(shorty, "GET", "/s/too/many/parts")[0] == 404
    assert ask(shorty, "DELETE", "/s/")[0] == 405


def test_many_at_once(shorty: Stage, database: Path, variant: Variant) -> None:
    """Of 208 links, eight at a time, none is lost, all have codes of their own, all visits count."""
    count = variant.posts
    targets = [f"http://example.org/{number}" for number in range(count)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(partial(shorten, shorty), targets))
        visits = list(pool.map(lambda _: ask(shorty, "GET", f"/s/{codes[0]}")[0], targets))
    assert len(set(codes)) == count
    assert visits == [302] * count
    with closing(sqlite3.connect(database)) as stored:
        links = dict(stored.execute("SELECT code, target FROM link"))
        counted = stored.execute("SELECT visits FROM link WHERE code = ?", (codes[0],)).fetchone()
    assert [links[code] for code in codes] == targets
    assert counted == (count,)
