# SPDX-License-Identifier: MIT
"""The Django board behind a real nginx, as its visitors and administrators use it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo_apps.stage import DEMO_APPS, Stage, fetch, free_port, lwcgi_site
from tests.demo.browser import Browser
from tests.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.demo.conftest import Variant

BOARD = DEMO_APPS / "django_board"
ADMIN = {"username": "root", "password": "not a secret 1"}
WRITER = {"username": "ann", "password": "not a secret 2"}
WARM = ("/", "/1/", "/accounts/login/", "/accounts/sign-up/", "/admin/login/", "/no-such-page/")
LACKS = "imported modules that the snapshot lacks"


class Board(Stage):
    """The board at /board, with a database of its own."""

    def __init__(self, nginx: str, folder: Path, engine: str, *options: str, **environ: str):
        port = free_port()
        environ = {
            "BOARD_DIR": str(folder),
            "BOARD_ORIGINS": f"http://127.0.0.1:{port}",
            "PYTHONWARNINGS": "error",
            **environ,
        }
        site = lwcgi_site(
            "validated:board",
            Path(__file__).parent,
            f"--pythonpath={BOARD}",
            *options,
            engine=engine,
            mount="/board",
            workers=2,
            environ=tuple(environ.items()),
            static=folder / "static",
        )
        super().__init__(nginx, port, (site,))
        self.folder = folder

    def visitor(self, **account: str) -> Browser:
        """Return a browser, logged in where there is an account."""
        browser = Browser(f"{self.url}/board")
        if account:
            page = browser.submit("/accounts/login/", **account)
            assert page.url == f"{browser.url}/", page.text
        return browser

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what the database has."""
        with self.database() as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open the database, in which every statement is a transaction unless it begins one."""
        path = self.folder / "board.sqlite3"
        with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as opened:
            yield opened


def manage(folder: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py as README.md tells it."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *command],
        cwd=BOARD,
        env={"BOARD_DIR": str(folder), "PATH": "/usr/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board's folder, with an administrator, a writer and a thread."""
    folder = tmp_path_factory.mktemp("board") / "data"
    root = {f"DJANGO_SUPERUSER_{name.upper()}": value for name, value in ADMIN.items()}
    done = manage(folder, "prepare", **root, DJANGO_SUPERUSER_EMAIL="root@example.org")
    assert done.returncode == 0, done.stderr
    text = f"""
from django.contrib.auth.models import User
ann = User.objects.create_user(**{WRITER!r})
thread = ann.thread_set.create(title="First steps")
thread.post_set.create(author=ann, text="This is the first post.")
"""
    done = manage(folder, "shell", "--no-imports", "--command", text)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def board(
    variant: Variant, nginx: str, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    """A board that has been warmed up; nothing in its log may be worth a warning."""
    folder = tmp_path_factory.mktemp(variant.engine) / "data"
    shutil.copytree(prepared, folder)
    warm = [word for path in WARM for word in ("--warmup", path)]
    with Board(nginx, folder, variant.engine, *variant.options, *warm) as running:
        yield running
        assert variant.complaints(running.log("board")) == []


def test_prepare_can_be_repeated(prepared: Path, tmp_path: Path) -> None:
    """`manage.py prepare` keeps the key and the data of an earlier run, and nothing is left to migrate."""
    folder = tmp_path / "data"
    shutil.copytree(prepared, folder)
    key = (folder / "secret_key").read_text()
    assert len(key) == 50
    assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
    done = manage(folder, "prepare")
    assert (done.returncode, done.stdout) == (0, f"The board is ready in {folder}\n"), done.stderr
    assert (folder / "secret_key").read_text() == key
    done = manage(folder, "makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stderr
    done = manage(folder, "check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_unprepared_is_told(tmp_path: Path) -> None:
    """Without a secret key the gateway ends with the remedy, and serves nobody."""
    command = [sys.executable, "-m", "lwcgi", "check", "board.wsgi:application"]
    done = subprocess.run(
        command, cwd=BOARD, env={"BOARD_DIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "run `manage.py prepare` first" in done.stderr


def test_a_newcomer_signs_up_and_writes(board: Board) -> None:
    """Sign up, begin a thread, answer: everybody can read it; markup and other scripts are text."""
    bea = board.visitor()
    password = dict.fromkeys(("password1", "password2"), "not a secret 3")
    page = bea.submit("/accounts/sign-up/", username="bea", **password)
    assert (page.status, page.url) == (200, f"{bea.url}/"), page.text
    page = bea.submit("/new/", title="Grüße <b>", text="καλημέρα &amp; <script>")
    thread = page.url.removeprefix(bea.url)
    assert re.fullmatch(r"/\d+/", thread), page.text
    page = bea.submit(f"{thread}answer/", seen_at=thread, text="an answer")
    assert re.fullmatch(rf"{bea.url}{thread}\?page=1(#post-\d+)?", page.url)

    page = board.visitor().get(thread)
    assert "Grüße <b>" in page
    assert "καλημέρα &amp; <script>" in page
    assert "<script>" not in page.text
    assert "an answer" in page
    assert "bea, 2 posts" in board.visitor().get("/")


def test_sessions_last(board: Board) -> None:
    """A session, kept in the database, lasts from request to request, until its owner logs out."""
    ann, stranger = board.visitor(**WRITER), board.visitor()
    for _ in range(6):
        assert "log out" in ann.get("/")
        assert "log out" not in stranger.get("/")
    key = next(cookie.value for cookie in ann.jar if cookie.name == "sessionid")
    query = "SELECT count(*) FROM django_session WHERE session_key = ?"
    assert board.rows(query, key) == [(1,)]
    ann.submit("/accounts/logout/", seen_at="/")
    assert "log out" not in ann.get("/")
    assert board.rows(query, key) == [(0,)]


def test_wrong_password(board: Board) -> None:
    """Who gives a wrong password is told so and stays outside; a form with errors comes back."""
    page = board.visitor().submit("/accounts/login/", username="ann", password="wrong")
    assert "Please enter a correct username and password" in page
    page = board.visitor(**WRITER).submit("/new/", title="x" * 121, text="")
    assert "at most 120 characters" in page
    assert "This field is required" in page


def test_forged_forms_are_refused(board: Board) -> None:
    """A form without token, or from another site, is a 403; without a login it leads to one."""
    ann = board.visitor(**WRITER)
    before = board.rows("SELECT count(*) FROM board_post")
    assert ann.post("/1/answer/", text="forged").status == 403
    token = next(cookie.value for cookie in ann.jar if cookie.name == "csrftoken")
    fields = {"csrfmiddlewaretoken": token, "text": "forged"}
    assert ann.post("/1/answer/", origin="http://evil.example", **fields).status == 403
    page = board.visitor().get("/new/")
    assert page.url.endswith("/board/accounts/login/?next=/board/new/")
    assert board.rows("SELECT count(*) FROM board_post") == before


def test_admin(board: Board) -> None:
    """The administrator finds, changes and deletes a thread; nobody else comes in."""
    assert "admin/login/?next=/board/admin/" in board.visitor().get("/admin/").url
    assert "not authorized" in board.visitor(**WRITER).get("/admin/board/thread/")
    root = board.visitor(**ADMIN)
    assert "Board" in root.get("/admin/")
    page = root.submit("/new/", title="to be changed", text="spam")
    number = int(page.url.rstrip("/").rsplit("/", 1)[1])
    page = root.get("/admin/board/thread/?q=to+be+changed")
    assert f"/admin/board/thread/{number}/change/" in page
    assert "First steps" not in page

    change = f"/admin/board/thread/{number}/change/"
    shown = root.get(change).text
    fields = dict(re.findall(r'name="(post_set-[\w-]+)" value="(\w*)"', shown))
    fields |= {"title": "changed", "author": "1", "post_set-0-text": "ham", "_save": "Save"}
    fields["post_set-0-author"] = "1"
    page = root.submit(change, **fields)
    assert "was changed successfully" in page
    query = "SELECT title, text FROM board_thread t JOIN board_post p ON t.id = thread_id WHERE t.id = ?"
    assert board.rows(query, number) == [("changed", "ham")]

    page = root.submit(change.replace("change", "delete"), post="yes")
    assert "was deleted successfully" in page
    assert board.rows(query, number) == []
    logged = "SELECT action_flag FROM django_admin_log WHERE object_id = ? ORDER BY id"
    assert board.rows(logged, number) == [(2,), (3,)]


def test_static_files_are_nginxs(board: Board) -> None:
    """Style sheets, ours and the admin's, have a name with a checksum and come from nginx."""
    visitor = board.visitor()
    for path, name in (("/", "board/board"), ("/admin/login/", "admin/css/base")):
        page = visitor.get(path)
        link = re.search(rf'href="/board(/static/({name}\.\w+\.css))"', page.text)
        assert link, page.text
        sheet = visitor.get(link[1])
        assert sheet.text == (board.folder / "static" / link[2]).read_text()
        assert sheet.headers["Content-Type"] == "text/css"
    assert visitor.get("/static/nothing.css").status == 404
    assert board.get("/board/static../secret_key")[0] == 404


def test_a_module_global_does_not_leak(board: Board, variant: Variant) -> None:
    """The count of requests in a module is the frozen one for everybody; it grows without isolation."""
    counts = []
    for _ in range(8):
        found = re.search(r"which has served (\d+) request", board.visitor().get("/").text)
        assert found
        counts.append(int(found[1]))
    if variant.isolates:
        assert set(counts) == {len(WARM) * 21 + 1}
    else:
        assert len(set(counts)) > 1


def test_many_posts_at_once(board: Board, variant: Variant) -> None:
    """Of 208 posts, eight at a time, none is lost or doubled, and pages of 20 show them in order."""
    each = variant.posts // 8
    ann = board.visitor(**WRITER)
    thread = ann.submit("/new/", title="busy", text="post 0").url.removeprefix(ann.url)
    cookies = {cookie.name: str(cookie.value) for cookie in ann.jar}
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Content-Type": "application/x-www-form-urlencoded",
        "X-CSRFToken": cookies["csrftoken"],
    }

    def write(first: int) -> list[int]:
        bodies = [f"text=post+{n}".encode() for n in range(first, first + each)]
        path = f"/board{thread}answer/"
        return [fetch(board.port, "POST", path, body, **headers)[0] for body in bodies]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(1, 8 * each, each)))
    assert answers == [[302] * each] * 8
    query = "SELECT text FROM board_post WHERE thread_id = ? ORDER BY id"
    stored = [text for (text,) in board.rows(query, int(thread.strip("/")))]
    assert sorted(stored) == sorted(f"post {n}" for n in range(8 * each + 1))

    shown = []
    for number in range(1, 20):
        page = board.visitor().get(f"{thread}?page={number}")
        posts = re.findall(r"<p>(post \d+)</p>", page.text)
        shown += posts
        if len(posts) < 20:
            break
    assert shown == stored
    assert f"page {number} of {number}" in page
    assert "busy" in board.visitor().get("/")


def test_a_locked_database_is_waited_for(board: Board) -> None:
    """While another program writes, a post waits; then it is stored."""
    ann = board.visitor(**WRITER)
    with board.database() as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        post = pool.submit(ann.submit, "/1/answer/", seen_at="/1/", text="patience")
        with pytest.raises(TimeoutError):
            post.result(0.5)
        other.execute("ROLLBACK")
        assert post.result(30).status == 200
    assert board.rows("SELECT count(*) FROM board_post WHERE text = 'patience'") == [(1,)]


@pytest.fixture
def cold(nginx: str, prepared: Path, tmp_path: Path) -> Iterator[Board]:
    """A board that was not warmed up, and does not wait long for its database."""
    folder = tmp_path / "data"
    shutil.copytree(prepared, folder)
    with Board(nginx, folder, "auto", "--no-warmup", BOARD_LOCK_SECONDS="0.2") as running:
        yield running


def test_a_busy_database_is_a_503(cold: Board) -> None:
    """Where the wait is over before the lock is, nothing is stored, and the visitor may try again."""
    ann = cold.visitor(**WRITER)
    with cold.database() as other:
        other.execute("BEGIN IMMEDIATE")
        page = ann.submit("/1/answer/", seen_at="/1/", text="hurry")
        assert (page.status, page.headers["Retry-After"]) == (503, "1")
        assert "please try again" in page
        other.execute("ROLLBACK")
    assert cold.rows("SELECT count(*) FROM board_post WHERE text = 'hurry'") == [(0,)]
    assert ann.submit("/1/answer/", seen_at="/1/", text="hurry").status == 200
    assert cold.rows("SELECT count(*) FROM board_post WHERE text = 'hurry'") == [(1,)]


def test_without_warm_up_each_request_imports(cold: Board) -> None:
    """The log names what requests import because the snapshot lacks it; warmed up, they lack nothing."""
    assert cold.visitor().get("/").status == 200
    until(lambda: re.search(rf"GET /board/: {LACKS}: django\.", cold.log("board")), "the advice")
