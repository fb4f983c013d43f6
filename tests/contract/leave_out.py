# SPDX-License-Identifier: MIT
"""Leaves the step in MUTANT_STEP out; `mutants` installs this as the interpreter's sitecustomize."""

from __future__ import annotations

import importlib
import os
from typing import Any


def leave_out(step: str) -> None:
    """Skip *step* from now on: a number of step.h, or a function as in `mutants.start`."""
    if step.isdigit():
        importlib.import_module("lwcgi._core._lwcgi").lib.lw_skip(int(step))
    elif step:
        module, _, path = step.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        assert callable(getattr(owner, name)), f"{step} is no function"
        setattr(owner, name, lambda *args, **kwargs: None)


if "MUTANT_STEP" in os.environ:
    leave_out(os.environ["MUTANT_STEP"])
