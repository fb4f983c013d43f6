# SPDX-License-Identifier: MIT
"""An application that marks everything it can reach, and tells what it found first.

``/`` marks what is undone in place; ``/task`` also the attributes of its task.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FRESH = {
    "visits": 0,
    "last": "nobody",
    "variable": None,
    "offset": 0,
    "written": [],
    "opened": 1,
    "umask": True,
    "folder": True,
    "handler": True,
}
"""What each request finds where nothing is left of any other."""

visits = 0
last = "nobody"
written: list[str] = []
kept = Path(__file__).open()  # noqa: SIM115 - for good
folder = os.getcwd()
descriptors: list[int] = []


def _umask() -> int:
    """Return it without a call that could change it."""
    [line] = re.findall(r"^Umask:\s+(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line, 8)


umask = _umask()


def _opened() -> int:
    """Return how many descriptors there are of the file that every request opens once more."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [os.readlink(link) for link in links if link.exists()].count(__file__)


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer with what was found, and with a token that nobody else was given."""
    global visits, last
    found = {
        "visits": visits,
        "last": last,
        "variable": os.environ.get("MARKED_BY"),
        "offset": kept.tell(),
        "written": list(written),
        "opened": _opened(),
        "umask": _umask() == umask,
        "folder": os.getcwd() == folder,
        "handler": signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
    }
    name = environ["QUERY_STRING"]
    visits += 1
    last = name
    os.environ["MARKED_BY"] = name
    written.append(name)
    kept.read(100)
    descriptors.append(os.open(__file__, os.O_RDONLY))
    if environ["PATH_INFO"] == "/task":
        os.chdir(tempfile.gettempdir())
        os.umask(~umask & 0o777)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    found["token"] = secrets.token_hex(8)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
