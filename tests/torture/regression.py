# SPDX-License-Identifier: MIT
"""CPython's own regression tests, each module as one request: the same results as in a plain process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.harness.gateway import ROOT
from tests.torture.outside import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.torture.arena import Arena

MODULES = (
    "test_json", "test_re", "test_sqlite3", "test_ssl", "test_threading", "test_subprocess",
    "test_mmap", "test_ctypes", "test_decimal", "test_zlib", "test_pickle", "test_struct",
    "test_array", "test_bisect", "test_heapq", "test_collections", "test_itertools",
    "test_functools", "test_math", "test_datetime", "test_random", "test_hashlib", "test_hmac",
    "test_base64", "test_binascii", "test_csv", "test_io", "test_tempfile", "test_shutil",
    "test_os", "test_posix", "test_glob", "test_select", "test_selectors", "test_socket",
    "test_queue", "test_weakref", "test_gc", "test_copy", "test_string", "test_textwrap",
    "test_unicodedata", "test_bz2", "test_lzma", "test_zipfile", "test_configparser", "test_uuid",
    "test_time", "test_signal", "test_fcntl", "test_resource", "test_thread", "test_faulthandler",
    "test_fork1", "test_wait4", "test_posixpath", "test_enum", "test_dataclasses", "test_contextlib",
    "test_generators", "test_coroutines", "test_exceptions", "test_memoryview", "test_bytes",
    "test_set", "test_dict", "test_list", "test_deque", "test_float", "test_long", "test_logging",
)  # fmt: skip

SECONDS = 600  # one module may take, on a machine that is busy with other things
OPTIONS = {
    "timeout": f"{SECONDS}s",
    "after-response-timeout": "5s",
    "max-request-memory": False,
}


def lacking() -> str:
    """Return what is missing to run any of this; empty where nothing is."""
    if importlib.util.find_spec("test") and importlib.util.find_spec("test.test_json"):
        return ""
    return "this Python comes without its own tests (Debian: libpython3-testsuite)"


def _without(module: str) -> list[str]:
    return sorted(LEFT_OUT.get(module, {}))


def plainly(module: str) -> dict[str, Any]:
    """Return the results of *module* in a process of its own.

    Raises:
        AssertionError: it did not come to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        program = [sys.executable, "-m", "tests.apps.regression", str(results), f"test.{module}"]
        done = subprocess.run(
            [*program, *_without(module)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"ACTS_FOLDER": folder, "ACTS_MARK": "none"},
            start_new_session=True,
            timeout=SECONDS,
            check=False,
        )
        assert results.exists(), (
            f"{module}, plainly: {done.stdout[-2000:].decode(errors='replace')}"
        )
        text = results.read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def compare(module: str, plain: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return in what the two differ, one line or traceback for each test."""
    wrong = []
    if plain["run"] != found["run"]:
        wrong.append(f"{module}: {found['run']} tests run, plainly {plain['run']}")
    for name in sorted({*plain["failed"], *found["failed"]}):
        if name not in found["failed"]:
            wrong.append(f"{name} fails only plainly:\n{plain['failed'][name]}")
        elif name not in plain["failed"]:
            wrong.append(f"{name} fails:\n{found['failed'][name]}")
    for kind in ("skipped", "expected"):
        wrong += [f"{kind} only plainly: {x}" for x in plain[kind] if x not in found[kind]]
        wrong += [f"{kind}: {x}" for x in found[kind] if x not in plain[kind]]
    return wrong


def as_request(arena: Arena, module: str) -> dict[str, Any]:
    """Return the results of *module* as a request, after looking what it left behind.

    Raises:
        AssertionError: no answer, or traces.
    """
    query = urlencode({"module": f"test.{module}", "without": _without(module)}, doseq=True)
    with arena.gateway.connect(SECONDS) as connection:
        found: dict[str, Any] = connection.get(f"/regression?{query}").json()
    arena.look()
    return found


def run(arena: Arena, modules: Iterable[str], say: Callable[[str], object]) -> list[str]:
    """Run modules both ways; return what differs.

    Parameters:
        arena: running, with OPTIONS.
        modules: their names, without the package.
        say: takes a line for each.
    """
    wrong: list[str] = []
    for module in modules:
        if importlib.util.find_spec(f"test.{module}") is None:
            say(f"{module}: not part of this Python")
            arena.count["absent"] += 1
            continue
        found, took = {"run": 0, "failed": [], "skipped": []}, []
        try:
            start = time.monotonic()
            plain = plainly(module)
            took.append(f"{time.monotonic() - start:.1f} s plainly")
            start = time.monotonic()
            found = as_request(arena, module)
            took.append(f"{time.monotonic() - start:.1f} s as a request")
            differing = compare(module, plain, found)
        except AssertionError as error:
            differing = [f"{module}: {error}\n{arena.recent_log()}"]
            arena.stop()
            arena.start()
        arena.count["modules"] += 1
        arena.count["tests"] += found["run"]
        say(
            f"{module}: {found['run']} tests, {len(found['failed'])} fail and "
            f"{len(found['skipped'])} are skipped, {len(differing)} differ; " + ", ".join(took)
        )
        for line in differing:
            say(line)
        wrong += differing
    return wrong
