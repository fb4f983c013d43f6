# SPDX-License-Identifier: MIT
"""What a user is told where the kernel lacks something: `lwcgi check` and `lwcgi run`."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from lwcgi import _core
from tests.harness.gateway import Gateway
from tests.harness.lacking_kernel import NO_DISPATCH, NO_UFFD, Rule, command

PREMISE = 'premise "userfaultfd can be opened" does not hold (Operation not permitted)'
REMEDY = "in a container, let its profile allow userfaultfd, or pass it /dev/userfaultfd"
LWCGI = (sys.executable, "-m", "lwcgi")

needs_rewind = pytest.mark.skipif(
    bool(_core.selftest().premise), reason="needs a kernel on which the engine rewind runs"
)


def lwcgi(rules: list[Rule], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `lwcgi` with *words* on a kernel with *rules*."""
    return subprocess.run(
        command(rules, *LWCGI, *words), capture_output=True, text=True, timeout=60, check=False
    )


def test_check_names_premise_and_remedy():
    """`lwcgi check` shows what is missing for `rewind`, what would help, and what is taken."""
    told = lwcgi(NO_UFFD, "check")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("engine rewind"))
    assert lines[at] == f"engine rewind     no       no       no       {PREMISE}"
    assert REMEDY in lines[at + 1]
    assert lines[-1].startswith("would use    fork, chosen by auto: ")
    assert f"; not rewind: {PREMISE}" in lines[-1]


@needs_rewind
def test_check_tells_what_makes_it_slower():
    """Without syscall user dispatch, `rewind` runs, and the check says that it is slower."""
    told = lwcgi(NO_DISPATCH, "check")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("engine rewind"))
    slower = f"slower here: system calls cannot be seen ({os.strerror(errno.EINVAL)})"
    assert lines[at].startswith("engine rewind     yes      yes      no  ")
    assert lines[at].endswith(slower)
    assert "PR_SET_SYSCALL_USER_DISPATCH" in lines[at + 1]
    assert lines[-1].startswith("would use    rewind, chosen by auto: ")


@pytest.mark.parametrize("words", [("run", "myproject:app"), ("check",)])
def test_engine_asked_for_is_refused(words: tuple[str, ...]):
    """`--engine rewind` ends with the premise, the remedy and exit code 6."""
    told = lwcgi(NO_UFFD, *words, "--engine", "rewind")
    assert told.returncode == 6
    assert f"lwcgi: error: engine rewind cannot run here: {PREMISE}" in told.stderr
    assert REMEDY in told.stderr


def test_auto_logs_its_choice():
    """`--engine auto` serves with the next best engine, and one line says why."""
    with Gateway(engine="auto", program=command(NO_UFFD, *LWCGI)) as gateway:
        assert gateway.get("/").status == 200
        lines = [line for line in gateway.log().splitlines() if " engine fork, " in line]
    assert len(lines) == 1
    assert f"; not rewind: {PREMISE}" in lines[0]
