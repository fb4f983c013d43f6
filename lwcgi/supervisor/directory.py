# SPDX-License-Identifier: MIT
"""The working directory, by its name: a deployment may have put another one there."""

from __future__ import annotations

import os


class Directory:
    """The directory the command was started in."""

    def __init__(self) -> None:
        self.path = _name()
        """Empty where it has none: it was removed."""

    def enter(self) -> str:
        """Enter what the path leads to by now; return why that is not possible, if so."""
        try:
            if self.path and not os.path.samefile(self.path, "."):
                os.chdir(self.path)
        except OSError as error:
            return f"cannot enter {self.path} again ({error.strerror}): staying in what it was"
        return ""


def _name() -> str:
    """Return the path as the shell has it, with its symbolic links, or as the kernel has it."""
    path = os.environ.get("PWD", "")
    try:
        if os.path.isabs(path) and os.path.samefile(path, "."):
            return path
    except (OSError, ValueError):
        pass
    try:
        return os.getcwd()
    except OSError:
        return ""
