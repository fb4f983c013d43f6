# SPDX-License-Identifier: MIT
"""The floors of the C core (ARCHITECTURE.md): includes run only downward."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "lwcgi" / "_core" / "src"
FLOORS = (
    "core",
    "rewind lwc_engine",
    "restore lwc_root",
    "arming relay loop lwc_freeze",
    "lwc_inside",
    "guard direct",
    "context dispatch",
    "calls",
    "call_task",
    "call_files call_memory",
    "call request",
    "hand undo",
    "confine",
    "access answer conn track remap lost",
    "task files report signals lwc_unchanged",
    "selftest verify unshare image stubs entropy",
    "selftest_premises verify_place keep",
    "selftest_dispatch verify_memory params",
    "selftest_memory verify_areas verify_files attributes fcgi",
    "cpu pages maps wipe verify_note",
    "lwc_door lwc_calls",
    "text channel step sys trace holes lwc_exchange",
)


def test_includes_run_only_downward():
    """A file includes its own header and headers of lower floors, nothing beside or above."""
    height = {name: -floor for floor, names in enumerate(FLOORS) for name in names.split()}
    files = sorted(SOURCE.glob("*.[ch]"))
    assert {path.stem for path in files} == set(height), "a file is on no floor, or is gone"
    upward = [
        f"{path.name} includes {included}.h"
        for path in files
        for included in re.findall(r'^#include "(\w+)\.h"', path.read_text(), re.MULTILINE)
        if included != path.stem and height[included] >= height[path.stem]
    ]
    assert not upward
