# SPDX-License-Identifier: MIT
"""What `make demo` runs: one leaky application, twice behind nginx, once isolated and once not.

Beside it three small real ones. With ``--check`` it ends after its checks, with exit code 0 or 1.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from demo_apps.stage import DEMO_APPS, Site, Stage, StageError, fetch, free_port, lwcgi_site

BOARD = DEMO_APPS / "django_board"
FILE = bytes(range(256)) * 256


def sites(
    folder: Path, port: int, engine: str = "auto", options: tuple[str, ...] = ()
) -> tuple[Site, ...]:
    """Return what the demo serves on *port*: the counter both ways, and what stores in *folder*.

    Parameters:
        folder: where the applications store.
        port: of nginx.
        engine: what isolates all but the one counter.
        options: more of `lwcgi run` for those.
    """
    board = {"BOARD_DIR": str(folder / "board"), "BOARD_ORIGINS": f"http://127.0.0.1:{port}"}
    prepare_board(board)
    counter = ("counter:application", DEMO_APPS / "counter", "--no-warmup")
    return (
        lwcgi_site(*counter, *options, engine=engine, workers=2),
        lwcgi_site(*counter, engine="none", mount="/none"),
        lwcgi_site(
            "notes:application",
            DEMO_APPS / "flask_notes",
            *options,
            engine=engine,
            mount="/notes",
            workers=2,
            environ=(("NOTES_DIR", str(folder / "notes")),),
        ),
        lwcgi_site(
            "board.wsgi:application",
            BOARD,
            *("--warmup", "/", "--warmup", "/accounts/login/", "--warmup", "/admin/login/"),
            *options,
            engine=engine,
            mount="/board",
            workers=2,
            environ=tuple(board.items()),
            static=folder / "board" / "static",
        ),
        lwcgi_site(
            "shorty:application",
            DEMO_APPS / "werkzeug_shorty",
            *options,
            engine=engine,
            mount="/s",
            workers=2,
            environ=(("SHORTY_DATABASE", str(folder / "shorty.sqlite")),),
        ),
    )


def prepare_board(environ: dict[str, str]) -> None:
    """Make the board's folder, with the administrator "demo", whose password is "demo".

    Raises:
        StageError: it could not be made.
    """
    account = {"USERNAME": "demo", "PASSWORD": "demo", "EMAIL": "demo@localhost.localdomain"}
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare"],
        cwd=BOARD,
        env=os.environ | environ | {f"DJANGO_SUPERUSER_{k}": v for k, v in account.items()},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise StageError(f"manage.py prepare failed:\n{done.stderr}")


def visits(stage: Stage, path: str) -> list[int]:
    """Make ten requests to the counter at *path*; return the numbers it answered."""
    numbers = []
    for _ in range(10):
        status, body = stage.get(path)
        found = re.search(rb"visitor (\d+)", body)
        if status != 200 or found is None:
            raise AssertionError(f"status {status}: {body[:200]!r}")
        numbers.append(int(found[1]))
    return numbers


def check_none_counts(stage: Stage) -> None:
    """counter, engine none: ten requests count from 1 to 10."""
    assert_equal(visits(stage, "/none/"), list(range(1, 11)))


def check_isolated_forgets(stage: Stage) -> None:
    """counter, isolated: ten requests, and each is the first."""
    assert_equal(visits(stage, "/"), [1] * 10)


def check_names(stage: Stage) -> None:
    """counter: a visitor's name reaches the next one under none, and nobody where it is isolated."""
    for path, expected in (("/none/", b"was ann."), ("/", b"was nobody.")):
        stage.get(f"{path}?name=ann")
        _, body = stage.get(f"{path}?name=bob")
        if expected not in body:
            raise AssertionError(f"{path} answered {body!r}, expected {expected!r} in it")


def check_crash(stage: Stage) -> None:
    """counter, isolated: a request that aborts gets a 500, the next one an answer."""
    assert_equal(stage.get("/crash")[0], 500)
    assert_equal(visits(stage, "/"), [1] * 10)


def check_notes(stage: Stage) -> None:
    """flask_notes, isolated: a note is stored, its file comes back byte by byte."""
    form = (
        b'--cut\r\nContent-Disposition: form-data; name="text"\r\n\r\nremember me\r\n'
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="all.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + FILE + b"\r\n--cut--\r\n"
    )
    kind = "multipart/form-data; boundary=cut"
    assert_equal(fetch(stage.port, "POST", "/notes/", form, Content_Type=kind)[0], 303)
    status, page = stage.get("/notes/")
    assert_equal(status, 200)
    link = re.search(rb'href="(/notes/\d+/file)"', page)
    if b"remember me" not in page or link is None:
        raise AssertionError(f"the note is not on its page: {page[-300:]!r}")
    assert_equal(stage.get(link[1].decode()), (200, FILE))


def check_board(stage: Stage) -> None:
    """django_board, isolated: its style sheet comes from nginx, a form without token is refused."""
    status, page = stage.get("/board/accounts/login/")
    assert_equal(status, 200)
    link = re.search(rb'href="(/board/static/board/board\.\w+\.css)"', page)
    if link is None:
        raise AssertionError(f"no style sheet in {page[:500]!r}")
    style = (BOARD / "board/static/board/board.css").read_bytes()
    assert_equal(stage.get(link[1].decode()), (200, style))
    assert_equal(fetch(stage.port, "POST", "/board/accounts/login/", b"")[0], 403)


def check_shorty(stage: Stage) -> None:
    """werkzeug_shorty, isolated: three links have codes of their own, and a visit is counted."""
    kind = "application/x-www-form-urlencoded"
    for _ in range(3):
        form = b"target=http%3A%2F%2Fexample.org%2F"
        assert_equal(fetch(stage.port, "POST", "/s/", form, Content_Type=kind)[0], 303)
    codes = set(re.findall(rb'href="(/s/\w{6})"', stage.get("/s/")[1]))
    assert_equal(len(codes), 3)
    short = codes.pop().decode()
    assert_equal(stage.get(short)[0], 302)
    if b"was followed 1 times" not in stage.get(f"{short}/about")[1]:
        raise AssertionError(f"the visit of {short} is not counted")


CHECKS: tuple[Callable[[Stage], None], ...] = (
    check_none_counts,
    check_isolated_forgets,
    check_names,
    check_crash,
    check_notes,
    check_board,
    check_shorty,
)


def assert_equal(got: object, expected: object) -> None:
    """Raise AssertionError, with both, unless they are equal."""
    if got != expected:
        raise AssertionError(f"got {got!r:.200}, expected {expected!r:.200}")


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_checks(stage: Stage) -> int:
    """Run all checks, print each by name, and return how many failed."""
    failed = 0
    for check in CHECKS:
        name = (check.__doc__ or check.__name__).rstrip(".")
        try:
            check(stage)
        except (AssertionError, OSError, HTTPException) as error:
            failed += 1
            print(f"FAILED  {name}\n        {error!r}")
        else:
            print(f"ok      {name}")
    if failed:
        for site in stage.sites:
            print(f"--- log of {site.name} ---\n{stage.log(site.name)}")
    return failed


def show(stage: Stage) -> None:
    """Print the isolation at work and where to look at it, and wait for Ctrl-C."""
    print("The same counter, ten requests each:")
    print("  engine none  ", *visits(stage, "/none/"))
    print("  engine auto  ", *visits(stage, "/"))
    print()
    print(f"  {stage.url}/?name=you        the counter, every request isolated")
    print(f"  {stage.url}/none/?name=you   the same, as other servers run it")
    print(f"  {stage.url}/notes/           a small Flask application: forms, sqlite, files")
    print(f"  {stage.url}/board/           a Django project: accounts, admin (demo, demo), sqlite")
    print(f"  {stage.url}/s/               short addresses, by werkzeug alone")
    print(f"  logs: {stage.prefix}/*.log")
    print("Ctrl-C ends it.", flush=True)
    while True:
        time.sleep(3600)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="/usr/sbin/nginx")
    parser.add_argument("--port", type=int, default=8000, help="of 127.0.0.1; 0 takes a free one")
    parser.add_argument("--check", action="store_true", help="check and exit 0 or 1")
    options = parser.parse_args()
    failed = 0
    started = time.monotonic()
    port = options.port or free_port()
    try:
        with (
            stopped_by_signals(),
            tempfile.TemporaryDirectory(prefix="lwcgi-demo-") as folder,
            Stage(options.nginx, port, sites(Path(folder), port)) as stage,
        ):
            if options.check:
                failed = run_checks(stage)
            else:
                show(stage)
    except KeyboardInterrupt:
        print("\ndemo: stopped")
        return 0
    except StageError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    took = time.monotonic() - started
    print(f"demo: {len(CHECKS) - failed} of {len(CHECKS)} checks passed in {took:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
