# SPDX-License-Identifier: MIT
"""The names of what runs in guests, read from its sources: pytest lists tests without a compiler."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

from tests.vm.build import SOURCE, SUITE
from tests.vm.errors import VmError
from tests.vm.kernels import PACKAGES

GUEST_TESTS = Path(__file__).with_name("guest_tests")

QUICK_KERNELS = ("6.1-cloud", "6.12-cloud")
"""What `make test` boots."""

MUTATED_KERNEL = "6.12-cloud"
"""Where steps of the clean-up are left out: the code is the same everywhere."""

GUEST_KERNEL = "6.12"
"""Where Python's tests run in `make test`; only this flavour can mount the host's files."""


def kernels() -> list[str]:
    """Return the kernels to test on: those in LWC_KERNELS (with commas), or all packaged ones.

    Raises:
        VmError: LWC_KERNELS has a name that nobody knows.
    """
    chosen = [name for name in os.environ.get("LWC_KERNELS", "").split(",") if name]
    known = [*PACKAGES, "debug-6.1", "debug-6.12"]
    if unknown := sorted({*chosen} - {*known}):
        raise VmError(f"LWC_KERNELS has {', '.join(unknown)}; there are {', '.join(known)}")
    return chosen or list(PACKAGES)


def with_files() -> list[str]:
    """Return those of them that can mount the host's files."""
    return [name for name in kernels() if not name.endswith("-cloud")]


def suite_tests(folder: Path = SUITE) -> list[str]:
    """Return the names of the C tests: ``TEST(name)`` at the start of a line."""
    return _find(r"^TEST\((\w+)\)", sorted(folder.glob("*.c")))


def mutations(folder: Path = SOURCE) -> list[str]:
    """Return the steps that a build with LWC_MUTATIONS can leave out: ``leave_out("name")``."""
    return sorted(set(_find(r'leave_out\("(\w+)"\)', sorted(folder.rglob("*.[ch]")))))


def guest_tests(folder: Path = GUEST_TESTS) -> list[str]:
    """Return ``file::function`` for every Python test that runs in a guest."""
    found = []
    for path in sorted(folder.glob("guest_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.append(f"{path.stem}::{node.name}")
    return found


def _find(pattern: str, paths: list[Path]) -> list[str]:
    return [name for path in paths for name in re.findall(pattern, path.read_text(), re.MULTILINE)]
