# SPDX-License-Identifier: MIT
"""Configuration files as the pages for users print them, so that the tests run those very lines."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def block(page: str, first_line: str) -> str:
    """Return the fenced block of docs/*page* that begins with *first_line*.

    Raises:
        AssertionError: there is none, or more than one.
    """
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found = [found for found in blocks if found.startswith(f"{first_line}\n")]
    assert len(found) == 1, f"{len(found)} blocks of docs/{page} begin with {first_line!r}"
    return found[0]


def adapted(text: str, changes: dict[str, str]) -> str:
    """Return *text* with each key of *changes* replaced by its value.

    Raises:
        AssertionError: a key does not occur, so that the page has changed.
    """
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the documented configuration:\n{text}"
        text = text.replace(old, new)
    return text
