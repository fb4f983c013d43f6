# SPDX-License-Identifier: MIT
"""What an application does after the last byte it promised is not work for a client that left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, fastcgi, until
from tests.harness.client import variables

if TYPE_CHECKING:
    from pathlib import Path

APP = """\
import os, time

def answer(done):
    try:
        yield b"hello "
        yield b"world"
        time.sleep(0.3)
    finally:
        with open(done, "a") as file:
            file.write("closed\\n")

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "11")])
    return answer(os.environ["ACTS_FOLDER"] + "/done")
"""


@pytest.mark.parametrize("engine", ["fork", "none"])
def test_the_client_may_leave_with_the_last_byte(tmp_path: Path, engine: str) -> None:
    """END_REQUEST comes with the last byte of Content-Length; close() runs to its end."""
    (tmp_path / "slow_end.py").write_text(APP)
    params = fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(variables("/").items()))
    with Gateway("slow_end:app", engine, options={"pythonpath": tmp_path}) as gateway:
        done = gateway.folder / "done"
        for number in range(1, 4):
            with gateway.connect() as connection:
                connection.send(fastcgi.begin(), params, fastcgi.record(fastcgi.STDIN, 1))
                answer = connection.answer()
            assert answer.complete
            assert answer.body == b"hello world"
            until(lambda n=number: done.exists() and done.read_text() == "closed\n" * n, "close()")
