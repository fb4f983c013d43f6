# SPDX-License-Identifier: MIT
"""The protocol code under sanitizers, fed with mutated streams."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

CORE = Path(__file__).parents[2] / "lwcgi" / "_core" / "src"
FLAGS = [
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]


def build(to: Path) -> Path:
    """Compile the fuzzer and the code under test with ASan and UBSan; return the program."""
    program = to / "protocol_fuzz"
    sources = [Path(__file__).with_name("protocol_fuzz.c"), CORE / "fcgi.c", CORE / "params.c"]
    subprocess.run(["gcc", *FLAGS, f"-I{CORE}", *map(str, sources), "-o", program], check=True)
    return program


def test_mutated_streams_give_no_sanitizer_finding(tmp_path: Path):
    """Three seconds of mutated records and pairs: no overrun, no undefined behaviour."""
    seed = random.randrange(1 << 32)
    done = subprocess.run(
        [build(tmp_path), "3", str(seed)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"seed {seed}:\n{done.stderr}"
    assert "0 findings" in done.stdout
