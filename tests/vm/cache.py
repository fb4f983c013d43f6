# SPDX-License-Identifier: MIT
"""Where downloaded and built kernels are kept: whole entries only, filled by one at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def root() -> Path:
    """Return the folder of the cache: ``lwcgi/kernels`` in $XDG_CACHE_HOME (default ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).resolve() / "lwcgi" / "kernels"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, made where it is missing, while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_first(folder: Path, name: str) -> Iterator[Path]:
    """Hold the lock of the first of ``name``, ``name-2``, ... in a folder that is free.

    What is yielded is that path, without suffix. Nobody waits for a run that somebody else makes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = folder / (name if number == 1 else f"{name}-{number}")
        with open(f"{path}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield path
            return


def entry(name: str, version: str, fill: Callable[[Path, Path], None]) -> Path:
    """Return the folder of an entry, filling it first where it is missing.

    Parameters:
        name: of the kernel.
        version: the exact one.
        fill: called with an empty folder to fill and with the path that it gets afterwards.
            Whatever it raises leaves nothing behind.
    """
    final = root() / name / version
    if final.exists():
        return final
    with locked(root() / f"{name}.lock"):
        if final.exists():
            return final
        for left in (root() / name).glob(".*"):  # by a run that was interrupted
            shutil.rmtree(left, ignore_errors=True)
        filling = root() / name / f".{version}"
        filling.mkdir(parents=True)
        try:
            fill(filling, final)
            filling.rename(final)
        finally:
            shutil.rmtree(filling, ignore_errors=True)
    return final


def newest(name: str) -> Path | None:
    """Return the entry of a kernel that was filled last, or None."""
    found = [p for p in (root() / name).glob("[!.]*") if p.is_dir()]
    return max(found, key=lambda p: p.stat().st_mtime, default=None)
