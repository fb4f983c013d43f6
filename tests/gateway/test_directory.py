# SPDX-License-Identifier: MIT
"""Deployments that put another directory in the place of the one the gateway was started in."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.harness import Gateway, until
from tests.harness.code import Code


def release(folder: Path, version: str) -> Path:
    """Return a new directory with the application in it, and a limit that tells it from others."""
    folder.mkdir()
    Code(folder).write(version)
    (folder / "lwcgi.toml").write_text(f"max-body = {len(version)}\n")
    return folder


def serve(place: Path, *clean: str) -> Gateway:
    """Return a gateway, not started, that a shell starts in *place*."""
    command = f'cd {place} && exec {" ".join(clean)} "$@"'
    program = ["/bin/sh", "-c", command, "sh", sys.executable, "-P", "-m", "lwcgi"]
    return Gateway(Code.app, environ={"PYTHONDONTWRITEBYTECODE": "1"}, program=program)


def answers(gateway: Gateway, version: str) -> bool:
    """Do code and configuration of this version answer?"""
    answer = gateway.post("/", b"x" * len(version))
    return answer.status == 200 and answer.body.startswith(version.encode())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_symbolic_link(tmp_path: Path, number: int) -> None:
    """A link that leads elsewhere by now is followed, as by whoever starts the gateway anew."""
    place = tmp_path / "current"
    place.symlink_to(release(tmp_path / "first", "one"))
    with serve(place) as gateway:
        assert answers(gateway, "one")
        (tmp_path / "new").symlink_to(release(tmp_path / "second", "second"))
        (tmp_path / "new").rename(place)
        gateway.process.send_signal(number)
        until(lambda: answers(gateway, "second"), "the code in the new place")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_renamed_directory(tmp_path: Path, number: int) -> None:
    """A directory that was renamed is not followed; what has got its name is entered."""
    place = release(tmp_path / "app", "one")
    with serve(place, "env", "-u", "PWD") as gateway:
        assert answers(gateway, "one")
        for version in ("second", "number three"):
            place.rename(tmp_path / f"before {version}")
            release(place, version)
            gateway.process.send_signal(number)
            until(lambda wanted=version: answers(gateway, wanted), "the code in the new place")


def test_directory_that_is_gone(tmp_path: Path) -> None:
    """Where nothing has got its name, the gateway says so and goes on where it is."""
    place = release(tmp_path / "app", "one")
    with serve(place) as gateway:
        gateway.wait_for_log("ready")
        place.rename(tmp_path / "elsewhere")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(f"WARNING cannot enter {place} again .No such file or directory.")
        gateway.wait_for_log("INFO ready", 2)
        assert answers(gateway, "one")
