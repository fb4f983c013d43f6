# SPDX-License-Identifier: MIT
"""The pages for users agree with the program."""

import re
from pathlib import Path

import pytest

from lwcgi.cli.options import KNOWN
from lwcgi.config import Settings
from lwcgi.errors import BY_EXIT_CODE

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "bench/", "demo_apps/*/", "docs/", "kmod/")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(f"{folder}*.md"))
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
DEFAULTS = Settings(app="module:callable")


def documented() -> dict[str, str]:
    """Return the options in the tables of docs/configuration.md, with their defaults."""
    rows = re.findall(r"^\| `--([a-z-]+)` \| (.*?) \|", CONFIGURATION, re.MULTILINE)
    return {name: default.strip("`") for name, default in rows}


def test_every_option_is_documented() -> None:
    """docs/configuration.md lists exactly the options that the program has."""
    known = {name.replace("_", "-") for name in KNOWN} - {"app"}
    assert documented().keys() - {"config"} == known


@pytest.mark.parametrize("name", ["engine", "backlog", "log-level"])
def test_documented_default_is_the_real_one(name: str) -> None:
    """A default in docs/configuration.md is that of the settings."""
    assert documented()[name] == str(getattr(DEFAULTS, name.replace("-", "_")))


def test_every_exit_code_is_documented() -> None:
    """docs/configuration.md lists exactly the exit codes that errors have, and 0."""
    codes = re.findall(r"^\| (\d) \|", CONFIGURATION, re.MULTILINE)
    assert sorted(map(int, codes)) == [0, *sorted(BY_EXIT_CODE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
