# SPDX-License-Identifier: MIT
"""Writes the tables of options in configuration.md, from the program's own (`make docs`).

A table stands below a marker that names its options in their order:

    <!-- options: timeout max-body -->

An option that no marker names joins that of its neighbour: it is put into the marker of the
option before it in the program's order, and can be moved from there by hand. One that the
program no longer has leaves its marker.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

import click

from lwcgi.cli import options
from lwcgi.config import Settings

PAGE = Path(__file__).with_name("configuration.md")
_TABLE = re.compile(r"<!-- options: ([^>]*?) ?-->\n(?:\|[^\n]*\n)*")
_DEFAULT = re.compile(r"\s*\[default: (.*)\]$")
_SETTINGS = {setting.name: setting.default for setting in fields(Settings)}


def program() -> dict[str, click.Option]:
    """Return the program's options by name, without dashes in front, in its own order."""
    command = click.command()(options.options(app_required=True)(lambda: None))
    found = [option for option in command.params if isinstance(option, click.Option)]
    # --config first, as the command line has it, would leave new options without a neighbour.
    found.sort(key=lambda option: option.name == "config")
    return {option.opts[0].removeprefix("--"): option for option in found}


def rendered(page: str, known: dict[str, click.Option]) -> str:
    """Return the text of *page* with the tables of the options *known*.

    Raises:
        ValueError: the page has no marker, or an option stands in two of them.
    """
    places = [match[1].split() for match in _TABLE.finditer(page)]
    if not places:
        raise ValueError("there is no marker <!-- options: … --> for a table")
    named = [name for place in places for name in place]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise ValueError(f"in more than one marker: {', '.join(twice)}")
    before = ""
    for name in known:
        if name not in named:
            place = next((place for place in places if before in place), places[0])
            place.insert(place.index(before) + 1 if before in place else 0, name)
        before = name
    tables = (_table([name for name in place if name in known], known) for place in places)
    return _TABLE.sub(lambda _: next(tables), page)


def _table(names: list[str], known: dict[str, click.Option]) -> str:
    lines = [f"<!-- options: {' '.join(names)} -->", "| option | default | meaning |"]
    lines += ["|---|---|---|", *(_row(known[name]) for name in names)]
    return "\n".join(lines) + "\n"


def _row(option: click.Option) -> str:
    words = (*option.opts, *option.secondary_opts)
    forms = ", ".join(f"`{word}{_value(option)}`" for word in words)
    help_ = option.help or ""
    meaning = _DEFAULT.sub("", help_)
    if isinstance(option.type, click.Choice):
        meaning += f" {', '.join(f'`{choice}`' for choice in option.type.choices)}"
    cells = (forms, _default(option, help_), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " NAME"
    return f" {option.metavar or option.type.name.upper()}"


def _default(option: click.Option, help_: str) -> str:
    """Return the default: as the help tells it, or as the option, or the setting, has it."""
    told = _DEFAULT.search(help_)
    if told:
        return told[1]
    if option.is_flag:
        return "off"
    value = option.default if isinstance(option.default, str | int) else None
    if value is None:
        value = _SETTINGS.get(str(option.name))
    return f"`{value}`" if isinstance(value, str | int) and value != "" else ""


def main() -> int:
    """Write the page anew; return the exit code."""
    try:
        page = rendered(PAGE.read_text(), program())
    except ValueError as error:
        print(f"docs: {PAGE.name}: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(page)
    print(f"docs: {len(program())} options in {len(_TABLE.findall(page))} tables of {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
