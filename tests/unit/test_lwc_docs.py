# SPDX-License-Identifier: MIT
"""docs/lwc.md and the header for C, as far as they go without the module."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lwcgi import lwc
from tests.vm import examples

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "lwc.md").read_text()
HEADER = (ROOT / "kmod" / "lib" / "liblwc.h").read_text()


def test_programs_compile(tmp_path: Path) -> None:
    """Those in Python are Python; those in C give no warning."""
    found = examples.find(ROOT, "python")
    for example in found:
        ast.parse(example.program)
    in_c = examples.find(ROOT, "c")
    for example in in_c:
        examples.compiled(ROOT, example, tmp_path)
    assert len(found) >= 7
    assert len(in_c) >= 7


def test_every_program_is_found() -> None:
    """A block in Python or C that is no program with its output is a mistake in the page."""
    blocks = re.findall(r"^```(python|c)$", PAGE, re.MULTILINE)
    found = [examples.find(ROOT, language) for language in ("python", "c")]
    assert len(blocks) == sum(map(len, found))


def test_a_program_without_its_output(tmp_path: Path) -> None:
    """It is told with the heading it stands under."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lwc.md").write_text("# A\n\n## B\n\n```c\nint x;\n```\n\nprose\n")
    with pytest.raises(ValueError, match="B: a program without its output"):
        examples.find(tmp_path, "c")


@pytest.mark.parametrize(
    ("compiler", "standard"), [("gcc", "c11"), ("gcc", "gnu17"), ("g++", "c++11"), ("g++", "c++20")]
)
def test_the_header_compiles_without_a_warning(
    compiler: str, standard: str, tmp_path: Path
) -> None:
    """As C and as C++, by itself."""
    if not shutil.which(compiler):
        pytest.skip("no compiler for C++ here")
    source = tmp_path / ("program.cc" if "++" in compiler else "program.c")
    source.write_text("#include <liblwc.h>\nint main(void) { return lwc_open() < 0; }\n")
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_DEFAULT_SOURCE"]
    includes = [f"-I{ROOT / 'kmod' / folder}" for folder in ("uapi", "lib")]
    command = [compiler, f"-std={standard}", *flags, *includes, source, "-o", tmp_path / "program"]
    subprocess.run(command, check=True)


def test_the_header_has_every_call() -> None:
    """Each ioctl of the contract is made by a function of the header, and each is in a program."""
    contract = (ROOT / "kmod" / "uapi" / "lwc.h").read_text()
    calls = re.findall(r"^#define (LWC_IOC_\w+) _IO", contract, re.MULTILINE)
    assert len(calls) == 12
    assert [call for call in calls if f"(door, {call}, " not in HEADER] == []
    functions = re.findall(r"^static inline \w+ (lwc_\w+)\(", HEADER, re.MULTILINE)
    names = {*functions} - {"lwc_ioctl", "lwc_abi"}  # of the others
    assert {name for name in names if not _is_called(name, "c")} == set()


def test_every_call_of_python_is_in_a_program() -> None:
    """Each function of the package, and each call that a name of an lwC has."""
    names = {name for name in lwc.__all__ if name.islower()} - {"current_door", "use_door"}
    names |= {"grant", "revoke", "restrict", "restricted", "refuse", "info"}
    assert {name for name in names if not _is_called(name, "python")} == set()
    assert {name for name in names if not re.search(rf"[`.]{name}\(", PAGE)} == set()


def _is_called(name: str, language: str) -> bool:
    found = examples.find(ROOT, language)
    return any(re.search(rf"\b{name}\(", example.program) for example in found)


def test_system_calls_that_can_be_made_are_listed() -> None:
    """The table of the page is the module's list."""
    calls = re.findall(r"X\((\w+)\)", (ROOT / "kmod" / "calls.h").read_text())
    [table] = re.findall(r"^These can be made:.*?\n\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`(\w+)`", table) == calls
    for call in calls:
        lwc.callnames.number_of(call)
