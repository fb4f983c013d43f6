# SPDX-License-Identifier: MIT
"""The command line: commands, their options and where else options come from."""

from .commands import main

__all__ = ["main"]
