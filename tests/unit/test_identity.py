# SPDX-License-Identifier: MIT
"""Whom --user and --group mean."""

from __future__ import annotations

import os
import pwd

import pytest

from lwcgi.errors import ConfigError
from lwcgi.supervisor.environment import for_application
from lwcgi.supervisor.identity import credentials, resolve

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test_user(user: str) -> None:
    """A user, by name or number, brings its group, its other groups and its home."""
    found = resolve(user, None)
    assert found is not None
    groups = tuple(os.getgrouplist("nobody", NOBODY.pw_gid))
    expected = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": groups}
    assert credentials(found) == expected
    assert found.variables()["HOME"] == NOBODY.pw_dir


def test_nobody_asked() -> None:
    """Without either option nothing changes."""
    assert resolve(None, None) is None
    assert set(credentials(None).values()) == {None}


def test_number_of_nobody() -> None:
    """A number that is in no database needs a group, and has no other."""
    found = resolve("4711", "4712")
    assert found is not None
    assert (found.uid, found.gid, found.groups, found.variables()) == (4711, 4712, (4712,), {})


@pytest.mark.parametrize(
    ("user", "group", "said"),
    [
        ("no-such-user", None, "there is no user 'no-such-user'"),
        ("nobody", "no-such-group", "there is no group 'no-such-group'"),
        ("4711", None, "its group is not known"),
        (None, "www-data", "--group without --user"),
        ("4294967295", "0", "there is no user"),  # (uid_t) -1
        ("nobody", "4294967295", "there is no group"),
        ("no\0body", None, "there is no user"),
        ("", None, "there is no user"),
        ("-1", None, "there is no user"),
    ],
)
def test_refused(user: str | None, group: str | None, said: str) -> None:
    """What is unknown is an error with a remedy, never another user."""
    with pytest.raises(ConfigError) as caught:
        resolve(user, group)
    assert said in caught.value.cause
    assert caught.value.remedy


def test_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root cannot become somebody else, and is told so before anything is done."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="need root"):
        resolve("nobody", None)


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application gets no variable of the service manager's, nor of the user who started."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("KEPT", "yes")
    assert for_application(None)["HOME"] == "/root"
    variables = for_application(resolve("nobody", None))
    assert variables["HOME"] == NOBODY.pw_dir
    assert variables["USER"] == variables["LOGNAME"] == "nobody"
    assert variables["KEPT"] == "yes"
    assert not [name for name in variables if name.startswith(("NOTIFY", "WATCHDOG", "LISTEN"))]
    assert os.environ["LISTEN_FDS"] == "1", "the supervisor keeps them, for its successor"
