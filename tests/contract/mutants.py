# SPDX-License-Identifier: MIT
"""Gateways that leave one step of the clean-up out, to prove that the checks can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.contract import promises
from tests.harness import Gateway
from tests.harness.gateway import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = tuple(
    re.findall(r"^ {4}(STEP_\w+),", (ROOT / "lwcgi/_core/src/step.h").read_text(), re.MULTILINE)
)[:-1]
"""The steps of the C core, from the header that defines them; the last line only counts them."""


@contextmanager
def built() -> Iterator[Path]:
    """Have a copy of the package whose core can leave steps out, where every user can read it.

    That build also stops at undefined behaviour (UBSan).
    """
    with tempfile.TemporaryDirectory(prefix="lwcgi-mutants-") as folder:
        os.chmod(folder, 0o755)
        _build(Path(folder))
        yield Path(folder)


def _build(folder: Path) -> None:
    shutil.copytree(
        ROOT / "lwcgi",
        folder / "lwcgi",
        ignore=shutil.ignore_patterns("*.so", "_lwcgi.c", "__pycache__"),
    )
    shutil.copytree(ROOT / "kmod/uapi", folder / "kmod/uapi")
    environ = os.environ | {"LWCGI_MUTATIONS": "1"}
    for script in ("lwcgi/_core/build.py", "lwcgi/lwc/_door/build.py"):
        done = subprocess.run(
            [sys.executable, script], cwd=folder, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    shutil.copy(Path(__file__).with_name("leave_out.py"), folder / "sitecustomize.py")


def start(folder: Path, step: str, engine: str = "fork", **changes: Any) -> Gateway:
    """Return a gateway, not started, that runs the core in *folder* without *step*.

    Parameters:
        folder: made by `built`.
        step: a name of STEPS, ``package.module:name`` for a function of the package that then
            does nothing, or "" for none.
        engine: a variant, as in `promises.start`.
        changes: to the gateway.
    """
    environ = {
        # The copy comes first, and the current directory, with the true package, not at all.
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(folder),
        "MUTANT_STEP": str(STEPS.index(step)) if step in STEPS else step,
        **changes.pop("environ", {}),
    }
    kind = Gateway if step else promises.Verified
    return promises.start(engine, kind, environ=environ, **changes)
