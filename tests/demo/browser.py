# SPDX-License-Identifier: MIT
"""What of a browser the tests need: cookies, redirects, and forms with Django's token in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

if TYPE_CHECKING:
    from email.message import Message

SECONDS = 60.0
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass
class Page:
    """Where a request led to, after redirects.

    Parameters:
        status: of the last answer.
        url: its address.
        headers: its header fields.
        text: its body.
    """

    status: int
    url: str
    headers: Message
    text: str

    def __contains__(self, text: str) -> bool:
        """Tell whether somebody who looks at the page reads *text*."""
        return text in unescape(self.text)


class Browser:
    """One visitor of the site at *url*, without cookies in the beginning."""

    def __init__(self, url: str, jar: CookieJar | None = None) -> None:
        self.url = url
        self.jar = CookieJar() if jar is None else jar
        self._opener = build_opener(HTTPCookieProcessor(self.jar))

    def get(self, path: str) -> Page:
        """Return the page at *path*."""
        return self._open(Request(self.url + path))

    def post(self, path: str, *, origin: str | None = None, **fields: object) -> Page:
        """Send a form as it is; *origin* is that of the site by default, as browsers send it."""
        site = "/".join(self.url.split("/")[:3])
        body = urlencode(fields).encode()
        return self._open(Request(self.url + path, body, {"Origin": origin or site}))

    def submit(self, path: str, *, seen_at: str | None = None, **fields: object) -> Page:
        """Send a form with the token that the page *seen_at*, by default itself, has for it."""
        shown = self.get(path if seen_at is None else seen_at)
        found = _TOKEN.search(shown.text)
        assert found, f"no form at {shown.url}: {shown.status}\n{shown.text[:2000]}"
        return self.post(path, csrfmiddlewaretoken=found[1], **fields)

    def _open(self, request: Request) -> Page:
        try:
            answer = self._opener.open(request, timeout=SECONDS)
        except HTTPError as error:
            answer = error
        with answer:
            return Page(answer.status, answer.url, answer.headers, answer.read().decode())
