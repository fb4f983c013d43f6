# SPDX-License-Identifier: MIT
"""`make demo` as a user runs it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo_apps.stage import fetch, free_port

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
DEMO = [sys.executable, "-m", "demo_apps.demo", "--nginx", str(NGINX)]

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (make test installs it)")


def test_check_passes() -> None:
    """`make demo CHECK=1` prints each check by name, all pass, and it exits 0."""
    done = subprocess.run(
        [*DEMO, "--check", "--port", "0"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok      ") == 7
    assert re.search(r"demo: 7 of 7 checks passed in \d", done.stdout.splitlines()[-1])


def test_stays_until_interrupted() -> None:
    """Without CHECK it shows the numbers with and without isolation, serves until Ctrl-C, and leaves nothing."""
    port = free_port()
    with subprocess.Popen(
        [*DEMO, "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as demo:
        assert demo.stdout is not None
        shown = []
        for line in demo.stdout:
            shown.append(line.rstrip())
            if line.startswith("Ctrl-C"):
                break
        assert "  engine none   1 2 3 4 5 6 7 8 9 10" in shown
        assert "  engine auto   1 1 1 1 1 1 1 1 1 1" in shown
        assert fetch(port, "GET", "/")[0] == 200
        logs = next(line for line in shown if "logs:" in line)
        prefix = Path(logs.split()[-1]).parent
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    assert not prefix.exists()
    with pytest.raises(ConnectionRefusedError):
        fetch(port, "GET", "/")
    assert processes_mentioning(str(prefix)) == []


def test_taken_port() -> None:
    """A port in use is one clear message with the remedy, and exit code 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [*DEMO, "--check", "--port", port], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "PORT=8001" in done.stderr


def processes_mentioning(word: str) -> list[str]:
    """Return the command lines, of all processes, that contain *word*."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found
