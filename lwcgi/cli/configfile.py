# SPDX-License-Identifier: MIT
"""Settings from the surroundings: a TOML file, and the names of environment variables.

The file is ``lwcgi.toml``, or the table ``[tool.lwcgi]`` of ``pyproject.toml``, in the
working directory. Its keys are the long options without their dashes.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Mapping

from ..errors import ConfigError

PREFIX = "LWCGI_"
# What Kubernetes puts into every container when a service is called lwcgi.
_NOT_OURS = re.compile(PREFIX + r"(SERVICE_|PORT(_|$))")


def find() -> str | None:
    """Return the configuration file of the working directory; None when there is none."""
    if os.path.exists("lwcgi.toml"):
        return "lwcgi.toml"
    if os.path.exists("pyproject.toml") and _table("pyproject.toml") is not None:
        return "pyproject.toml"
    return None


def read(path: str, known: Mapping[str, bool]) -> dict[str, object]:
    """Return the settings in the file *path*, by option name with underscores.

    Parameters:
        known: the options there are, each with whether it may be given several times.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has an unknown key.
    """
    settings: dict[str, object] = {}
    for key, value in (_table(path) or {}).items():
        name = key.replace("-", "_")
        if name not in known:
            raise ConfigError(f"{path}: unknown key {key!r}", _nearest(name, known, "-"))
        if isinstance(value, list):
            if not known[name]:
                raise ConfigError(f"{path}: {key} takes one value, not a list", "write it once")
        elif known[name]:
            value = [value]
        entries = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, (str, int, float, bool)) for entry in entries):
            raise ConfigError(
                f"{path}: {key} is neither a text nor a number", f'write {key} = "value"'
            )
        if any("\0" in str(entry) for entry in entries):
            raise ConfigError(f"{path}: {key} holds a NUL character", "leave it out")
        # Words, as from everywhere else: click takes an odd type for an error of its own.
        words = [str(entry) for entry in entries]
        settings[name] = words if known[name] else words[0]
    return settings


def check_environment(environment: Collection[str], known: Collection[str]) -> None:
    """Check that every variable called LWCGI_something is one of ours.

    Parameters:
        environment: the names of all variables.
        known: the options there are, with underscores.

    Raises:
        ConfigError: one is not.
    """
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and not _NOT_OURS.match(variable):
            name = variable.removeprefix(PREFIX).lower()
            if variable != PREFIX + name.upper() or name not in known:
                upper = [word.upper() for word in known]
                raise ConfigError(
                    f"unknown environment variable {variable}",
                    _nearest(name.upper(), upper, "_", PREFIX),
                )


def _table(path: str) -> dict[str, object] | None:
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", "check --config, and who may read it"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", "correct the file") from error
    table: object = content
    if os.path.basename(path) == "pyproject.toml":
        tools = content.get("tool")
        table = tools.get("lwcgi") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.lwcgi is not a table", "write [tool.lwcgi]")
    return table


def _nearest(name: str, known: Collection[str], joint: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, 1, 0.5)
    if close:
        return f"did you mean {prefix}{close[0].replace('_', joint)}?"
    return "the keys are " + ", ".join(sorted(prefix + k.replace("_", joint) for k in known))
