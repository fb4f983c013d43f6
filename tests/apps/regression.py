# SPDX-License-Identifier: MIT
"""Runs a module of CPython's own tests in a request or, started as a program, in a plain process.

Both do the same in the same surroundings: a directory of their own, the same modules loaded, no
terminal. The program writes what the request would answer to the file it is given.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
import warnings
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

try:
    from test import support
except ImportError:  # where a distribution leaves it out
    support = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TEXT = 4000  # characters of a traceback


def _every(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _every(test)
        else:
            yield test


def _load(module: str, patterns: list[str]) -> unittest.TestSuite:
    found = unittest.defaultTestLoader.loadTestsFromName(module)
    wanted = [t for t in _every(found) if not any(part in t.id() for part in patterns)]
    return unittest.TestSuite(wanted)


def run(module: str, without: list[str]) -> dict[str, object]:
    """Run the tests of *module*; return how each ended.

    Parameters:
        module: as in ``test.test_json``.
        without: parts of the names of tests to leave out.
    """
    before = os.getcwd()
    folder = tempfile.mkdtemp(prefix="regression-")
    os.chdir(folder)
    # What `-m test` does: no resources (network, large files, windows), and no output.
    support.use_resources = {}
    support.verbose = 0
    output = io.StringIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            suite = _load(module, without)
            result = unittest.TextTestRunner(output, verbosity=0).run(suite)
    except unittest.SkipTest as reason:
        return {"run": 0, "skipped": [f"the module: {reason}"], "failed": {}, "expected": []}
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)
        gc.collect()
    failed = {test.id(): text[-_MOST_TEXT:] for test, text in result.failures + result.errors}
    return {
        "run": result.testsRun,
        "skipped": sorted(f"{test.id()}: {reason}" for test, reason in result.skipped),
        "failed": failed | dict.fromkeys((t.id() for t in result.unexpectedSuccesses), "succeeds"),
        "expected": sorted(test.id() for test, _ in result.expectedFailures),
    }


def answer(query: str) -> dict[str, object]:
    """Return the results of the module that *query* names."""
    fields = parse_qs(query)
    return run(fields["module"][0], fields.get("without", []))


if __name__ == "__main__":
    importlib.import_module("tests.apps.torture")  # the same modules as in a request
    results = run(sys.argv[2], sys.argv[3:])
    with open(sys.argv[1], "w") as file:
        json.dump(results, file)
