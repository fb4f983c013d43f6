# SPDX-License-Identifier: MIT
"""The programs in docs/lwc.md: all blocks of Python and C, and what they print."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Example:
    """A program of the page.

    Parameters:
        heading: under which it stands.
        program: its source.
        output: what it must print.
    """

    heading: str
    program: str
    output: str


def find(checkout: Path, language: str) -> list[Example]:
    """Return the programs in ``python`` or ``c``, in the order of the page.

    Raises:
        ValueError: a block has no output below it.
    """
    found, heading = [], ""
    page = (checkout / "docs" / "lwc.md").read_text()
    pattern = rf"^## ([^\n]*)$|^```{language}\n(.*?)^```\n(\n```text\n(.*?)^```\n)?"
    for title, program, below, output in re.findall(pattern, page, re.MULTILINE | re.DOTALL):
        if title:
            heading = title
        elif below:
            found.append(Example(heading, program, output))
        else:
            raise ValueError(f"docs/lwc.md, {heading}: a program without its output")
    return found


def compiled(checkout: Path, example: Example, folder: Path) -> Path:
    """Compile a program in C as the page says, with all warnings as errors; return it."""
    source, program = folder / "example.c", folder / "example"
    source.write_text(example.program)
    includes = [f"-I{checkout / 'kmod' / name}" for name in ("uapi", "lib")]
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = ["gcc", "-std=gnu11", *warnings, *includes, "-pthread", source, "-o", program]
    subprocess.run(command, check=True)
    return program
