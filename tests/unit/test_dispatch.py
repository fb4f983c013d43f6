# SPDX-License-Identifier: MIT
"""System calls of an application are seen, answered and undone (dispatch_probe.c)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lwcgi import _core

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "lwcgi" / "_core" / "src"
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]
PROBE = ("dispatch_probe", "dispatch_files", "dispatch_memory", "dispatch_task")
CORE_PARTS = (
    *("stubs", "dispatch", "calls", "call_task", "call_files", "call_memory", "undo"),
    *("files", "image", "pages", "cpu", "maps", "keep", "text", "trace"),
)
CASES = [
    name
    for part in PROBE[1:]
    for name in re.findall(r'^    \{"(\w+)"', (HERE / f"{part}.c").read_text(), re.MULTILINE)
]

pytestmark = pytest.mark.skipif(
    _core.selftest().unseen is not None, reason="needs syscall user dispatch (Linux 5.11)"
)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the probe with the core under test."""
    program = tmp_path_factory.mktemp("dispatch") / "probe"
    sources = [HERE / f"{part}.c" for part in PROBE] + [CORE / f"{part}.c" for part in CORE_PARTS]
    subprocess.run(
        ["gcc", *FLAGS, f"-I{CORE}", f"-I{HERE}", *map(str, sources), "-o", program, "-pthread"],
        check=True,
    )
    return program


def test_every_case_is_run(probe: Path):
    """The cases read from the source are those the probe has."""
    named = subprocess.run([probe], capture_output=True, text=True, check=True).stdout
    assert named.split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_calls(probe: Path, case: str):
    """What the application is answered, what the trace says and what is left are as they must."""
    done = subprocess.run(
        [probe, case], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
