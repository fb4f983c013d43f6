# SPDX-License-Identifier: MIT
"""The requests, in the order in which they are made, and what their answers must be."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench import soak
from bench.load import Answer, Job, request_bytes
from tests.apps.marks import FRESH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAD_ONE_IN = 6
"""Of the requests to the soak test's application."""

HANGS_ONE_IN = 4
"""Of those that the soak test would make."""

_HANG = b"GET /soak/hang "
_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
_HELLO = Answer(200, b"Hello, world.\n", complete=True)


class Mix:
    """An endless sequence of requests to what `stand.sites` has, and what it knows of their answers.

    Parameters:
        whole: all applications are there; else there are fewer, without Django.

    Attributes:
        crashes: requests so far that end badly, or leave something behind.
        tokens: what the marking application has drawn at random.
        notes, links: what was to be stored.
    """

    def __init__(self, whole: bool = True) -> None:
        self.crashes = 0
        self.tokens: set[str] = set()
        self.notes: list[str] = []
        self.links: list[str] = []
        self._seen: dict[str, bytes] = {}
        soaked = self._soaked()
        marks, notes = self._marks(), self._notes()
        if whole:
            links, boards = self._links(), self._board()
        else:
            links = boards = soaked
        hello = self._hello()
        visits = self._visits()
        self._order = itertools.cycle(
            [soaked, marks, hello, soaked, visits, soaked, marks, notes, soaked, marks, soaked, links,
             soaked, marks, visits, soaked, boards, soaked, hello, notes, soaked, visits, soaked, marks]
        )  # fmt: skip

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        return next(next(self._order))

    def _soaked(self) -> Iterator[Job]:
        """Echoes, bodies both ways, and every way to end badly."""
        hangs = itertools.count()
        for number, job in enumerate(soak.plan("lwc", "/soak", BAD_ONE_IN)):
            # Each costs a worker the time limit, which is long where all is slow.
            if job.request.startswith(_HANG) and next(hangs) % HANGS_ONE_IN:
                continue
            self.crashes += number % BAD_ONE_IN == BAD_ONE_IN // 2
            yield job

    def _marks(self) -> Iterator[Job]:
        """What one request leaves, no other finds; and no two draw the same."""
        for number in itertools.count():
            path = "/marks/task" if number % 4 == 1 else "/marks/"
            yield Job(request_bytes("GET", f"{path}?request-{number}"), self._fresh)

    def _fresh(self, answer: Answer) -> str:
        if answer.status != 200 or not answer.complete:
            return f"{answer!r:.300}"
        found = json.loads(answer.body)
        token = found.pop("token")
        if token in self.tokens:
            return f"the token {token} was drawn before"
        self.tokens.add(token)
        left = {key: value for key, value in found.items() if value != FRESH[key]}
        return f"left by another: {left}" if left or found.keys() != FRESH.keys() else ""

    def _hello(self) -> Iterator[Job]:
        while True:
            yield Job(request_bytes("GET", "/hello/"), _is(_HELLO))

    def _visits(self) -> Iterator[Job]:
        """The counter of the demo: each is the first; and it can be crashed."""
        first = b"You are visitor 1.\nThe visitor before you was nobody.\n"
        for number in itertools.count():
            if number % 5 == 3:
                self.crashes += 1
                yield Job(request_bytes("GET", "/crash"), _status(500))
            else:
                name = f"/?name=visitor-{number}"
                yield Job(request_bytes("GET", name), _is(Answer(200, first, complete=True)))

    def _notes(self) -> Iterator[Job]:
        for number in itertools.count():
            if number % 4 == 0:
                text = f"note-{number}"
                self.notes.append(text)
                yield Job(_form("/notes/", f"text={text}"), _status(303))
            elif number % 4 == 1:
                yield Job(_form("/notes/", "text="), _status(400))
            elif number % 4 == 2:
                yield Job(request_bytes("GET", "/notes/"), self._served)
            else:
                yield Job(request_bytes("GET", "/notes/static/notes.css"), self._same("style"))

    def _served(self, answer: Answer) -> str:
        """The page tells how many requests its process has served: always as many."""
        found = re.search(rb"which has served (\d+) request", answer.body)
        if answer.status != 200 or not answer.complete or found is None:
            return f"{answer!r:.300}"
        expected = self._seen.setdefault("served", found[1])
        return "" if found[1] == expected else f"has served {found[1]!r}, not {expected!r}"

    def _links(self) -> Iterator[Job]:
        for number in itertools.count():
            if number % 2:
                target = f"http://example.org/{number}"
                self.links.append(target)
                yield Job(_form("/s/", f"target={quote(target)}"), _status(303))
            else:
                yield Job(request_bytes("GET", "/s/"), _status(200, b"<h1>Shorty</h1>"))

    def _board(self) -> Iterator[Job]:
        while True:
            yield Job(request_bytes("GET", "/board/"), _status(200, b"<title>Board</title>"))
            login = "/board/accounts/login/"
            yield Job(request_bytes("GET", login), _status(200, b"csrfmiddlewaretoken"))
            yield Job(_form(login, "username=nobody"), _status(403))

    def _same(self, name: str) -> Callable[[Answer], str]:
        """Return the judge of a page that is the same whenever it is asked for."""

        def wrong(answer: Answer) -> str:
            if answer.status != 200 or not answer.complete:
                return f"{answer!r:.300}"
            first = self._seen.setdefault(name, answer.body)
            return "" if answer.body == first else f"another page than at first: {answer!r:.300}"

        return wrong


def _form(target: str, text: str) -> bytes:
    head, _, body = request_bytes("POST", target, text.encode()).partition(b"\r\n\r\n")
    return head + b"\r\n" + _FORM.encode() + b"\r\n" + body


def _is(expected: Answer) -> Callable[[Answer], str]:
    return lambda answer: "" if answer == expected else f"{answer!r:.300}"


def _status(status: int, part: bytes = b"") -> Callable[[Answer], str]:
    def wrong(answer: Answer) -> str:
        good = answer.status == status and answer.complete and part in answer.body
        return "" if good else f"{answer!r:.300}"

    return wrong
