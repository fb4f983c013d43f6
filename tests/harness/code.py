# SPDX-License-Identifier: MIT
"""An application whose code a test changes while it is served."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = """\
import os, time
VERSION = {version!r}
def wait(name):
    folder = os.environ["ACTS_FOLDER"]
    open(folder + "/" + name + ".started", "w").close()
    while not os.path.exists(folder + "/" + name):
        time.sleep(0.01)
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        wait(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/crash":
        os.kill(os.getpid(), 11)
    body = environ["wsgi.input"].read()
    text = f"{{VERSION}} {{os.getppid()}} {{environ['QUERY_STRING']}} ".encode() + body
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""


class Code:
    """A module that says which version of it answers, which worker, and what was asked.

    Parameters:
        folder: where it lies.
    """

    app = "changing:app"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lengthened = 0
        self.write("one")

    def write(self, version: str, more: str = "") -> None:
        """Replace it, in one step; *more* stands at the end of the module."""
        # Of another length each time: Python compares seconds and sizes with its cache.
        self._lengthened += 1
        text = _HEAD.format(version=version) + textwrap.dedent(more) + "#" * self._lengthened
        new = self.folder / "changing.new"
        new.write_text(text + "\n")
        new.rename(self.folder / "changing.py")
