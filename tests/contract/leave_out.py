# SPDX-License-Identifier: MIT
"""Leaves the step in MUTANT_STEP out; `mutants` installs this as the interpreter's sitecustomize."""

from __future__ import annotations

import importlib
import os
from typing import Any


def leave_out(step: str) -> None:
    """Skip *step* from now on; it is named as in `mutants.start`."""
    if step.startswith("STEP_"):
        core = importlib.import_module("lwcgi._core._lwcgi")
        core.lib.lw_skip(getattr(core.lib, step))
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
