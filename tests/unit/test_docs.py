# SPDX-License-Identifier: MIT
"""The pages for users agree with the program."""

import re
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import click
import pytest

from docs.reference import program, rendered
from lwcgi.cli.options import KNOWN
from lwcgi.config import Settings
from lwcgi.errors import BY_EXIT_CODE
from tests.contract.checks import CHECKS
from tests.contract.levels import ALL_VARIANTS

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "bench/", "demo_apps/*/", "docs/", "kmod/")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(f"{folder}*.md"))
GUARANTEES = (ROOT / "docs/guarantees.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
DEFAULTS = Settings(app="module:callable")


def test_options_are_those_of_the_program() -> None:
    """The tables of options in docs/configuration.md are as the program would write them."""
    assert rendered(CONFIGURATION, program()) == CONFIGURATION, "mend it with: make docs"


def test_every_option_is_in_the_reference() -> None:
    """Every key of the configuration file, and --config, has its row."""
    rows = set(re.findall(r"^\| `--([a-z-]+)", CONFIGURATION, re.MULTILINE))
    assert rows == {name.replace("_", "-") for name in KNOWN} - {"app"} | {"config"}


def test_every_setting_has_its_line() -> None:
    """The docstring of Settings describes each of its fields."""
    described = re.findall(r"^ {4,8}(\w+): ", Settings.__doc__ or "", re.MULTILINE)
    assert set(described) - {"ConfigError"} == {setting.name for setting in fields(Settings)}


@pytest.mark.parametrize("name", ["bind", "warmup"])
def test_told_default_is_the_real_one(name: str) -> None:
    """Where the help tells a default by itself, that is the one of the settings."""
    told = program()[name].help or ""
    assert f"{' '.join(getattr(DEFAULTS, name))}]" in told


class TestReference:
    """What docs/reference.py makes of a page."""

    KNOWN: ClassVar = {
        option.opts[0].removeprefix("--"): option
        for option in (
            click.Option(["--first"], help="One.", metavar="A|B"),
            click.Option(["--second"], help="Two.", type=click.Choice(["x", "y"]), default="y"),
            click.Option(["--third/--no-third"], help="Three."),
            click.Option(["--workers"], help="Four. [default: cores]", type=int),
            click.Option(["--backlog"], help="Five.", type=int),
        )
    }
    PAGE = "# A\n\n<!-- options: second -->\n| old |\n\nprose\n\n<!-- options: workers -->\nend\n"

    def test_rows(self) -> None:
        """A row has the forms, the default and the meaning; new options join their neighbour."""
        assert rendered(self.PAGE, self.KNOWN) == (
            "# A\n\n<!-- options: first second third -->\n"
            "| option | default | meaning |\n|---|---|---|\n"
            "| `--first A\\|B` |  | One. |\n"
            "| `--second NAME` | `y` | Two. `x`, `y` |\n"
            "| `--third`, `--no-third` | off | Three. |\n"
            "\nprose\n\n<!-- options: workers backlog -->\n"
            "| option | default | meaning |\n|---|---|---|\n"
            "| `--workers INTEGER` | cores | Four. |\n"
            "| `--backlog INTEGER` | `2048` | Five. |\n"
            "end\n"
        )

    def test_once_is_enough(self) -> None:
        """What was rendered is not changed by rendering it again."""
        once = rendered(self.PAGE, self.KNOWN)
        assert rendered(once, self.KNOWN) == once

    def test_moved_by_hand_it_stays(self) -> None:
        """An option stays in the marker that names it, wherever the program has it."""
        page = "<!-- options: second third workers backlog -->\n<!-- options: first -->\n"
        assert rendered(page, self.KNOWN).endswith("| `--first A\\|B` |  | One. |\n")

    def test_gone_options_go(self) -> None:
        """An option that the program has no longer leaves the page."""
        once = rendered(self.PAGE, self.KNOWN)
        left = {name: option for name, option in self.KNOWN.items() if name != "third"}
        assert "third" not in rendered(once, left)

    @pytest.mark.parametrize(
        ("page", "told"),
        [
            ("# nothing\n", "no marker"),
            ("<!-- options: first -->\n\n<!-- options: first -->\n", "more than one marker: first"),
        ],
    )
    def test_refused(self, page: str, told: str) -> None:
        """A page that cannot be meant so is refused."""
        with pytest.raises(ValueError, match=told):
            rendered(page, self.KNOWN)


def test_every_exit_code_is_documented() -> None:
    """docs/configuration.md lists exactly the exit codes that errors have, and 0."""
    codes = re.findall(r"^\| (\d) \|", CONFIGURATION, re.MULTILINE)
    assert sorted(map(int, codes)) == [0, *sorted(BY_EXIT_CODE)]


@pytest.mark.parametrize("promise", CHECKS)
def test_every_promise_names_its_tests(promise: int | str) -> None:
    """The row of a promise in docs/guarantees.md names exactly its checks, in their order."""
    rows = re.findall(rf"^\| {promise} \|.*\| (.*) \|$", GUARANTEES, re.MULTILINE)
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [[c.__name__ for c in CHECKS[promise]]]


def test_engines_promise_what_is_told() -> None:
    """An engine has "yes" in docs/guarantees.md exactly where its promise is tested."""
    row = r"^\| (\d) \|.*?" + r"\| (\w+) " * 4 + r"\|"
    told = re.findall(row, GUARANTEES, re.MULTILINE)
    for number, *answers in told:
        named = ("rewind", "lwc", "fork", "none")
        kept = [int(number) in ALL_VARIANTS[engine].promises for engine in named]
        assert answers == ["yes" if yes else "no" for yes in kept]
    assert len(told) == 9


def test_recipes_are_tested_code() -> None:
    """A block of docs/fresh-state.md that follows a link to a program is a part of that program."""
    page = (ROOT / "docs/fresh-state.md").read_text()
    found = re.findall(r"\]\((\.\./\S+\.py)\):\n\n```python\n(.*?)```", page, re.DOTALL)
    assert len(found) == 4
    for path, block in found:
        assert block in (ROOT / "docs" / path).read_text(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_options_named_for_migrants_exist() -> None:
    """What docs/migration.md names in place of gunicorn's options, lwcgi has."""
    page = (ROOT / "docs/migration.md").read_text()
    rows = re.findall(r"^\| (?:`--|`SCRIPT)[^|]* \| ([^|]*--[^|]*) \|[^|]*\|$", page, re.MULTILINE)
    named = set(re.findall(r"`--([a-z-]+)", " ".join(rows)))
    assert len(named) > 15
    assert named <= {name.replace("_", "-") for name in KNOWN} | {"config"}
