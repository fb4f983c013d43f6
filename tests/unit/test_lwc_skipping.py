# SPDX-License-Identifier: MIT
"""Bodies of ``with`` statements are skipped, in every Python there is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lwcgi.lwc import skipping

CASES = Path(__file__).with_name("skipping_cases.py")
PYTHONS = ["3.11", "3.12", "3.13"]


def interpreter(version: str) -> str:
    """Return the program of a version: this one, or another that is installed, by pyenv too."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    ask = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    found = shutil.which(f"python{version}")
    if found:
        environ = {**os.environ, "PYENV_VERSION": version}
        said = subprocess.run([found, "-c", ask], capture_output=True, text=True, env=environ)
        if said.stdout.startswith(f"{version} "):
            return said.stdout.split()[1]
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", PYTHONS)
def test_bodies_are_skipped(version: str) -> None:
    """Wherever the statement stands and whatever its body is; and a tracer sees the rest."""
    command = [interpreter(version), str(CASES), skipping.__file__]
    said = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert said.returncode == 0, said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    assert not report["wrong"]
    assert report["skipped"] > 3000
    target, statement = "no `as`, or one with a plain name", "by nothing else"
    expected = {
        "attribute": target,
        "item": target,
        "pair": target,
        "stack": statement,
        "call": statement,
        "cell of a class": target,
    }
    assert report["refused"].keys() == expected.keys()
    for name, text in expected.items():
        assert report["refused"][name].endswith(text), name
