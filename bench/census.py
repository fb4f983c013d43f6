# SPDX-License-Identifier: MIT
"""Counts what a tree of processes holds and has used: memory, files, CPU (proc(5))."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROC = Path("/proc")

_LIBC = ctypes.CDLL(None)
_SYS_KCMP, _KCMP_VM = 312, 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Census:
    """Sums over a process and all its descendants, at one moment.

    Parameters:
        pss: proportional set size, in KiB: shared pages count once in the sum.
        descriptors: open ones; a table that processes share counts once.
        maps: memory mappings.
        processes: zombies included.
        zombies: ended and not reaped.
    """

    pss: int
    descriptors: int
    maps: int
    processes: int
    zombies: int


def take(root: int, settle: float = 2.0) -> Census:
    """Count the tree of process *root*, once it has been still for a moment.

    Parameters:
        root: process id.
        settle: seconds to wait at most for ended processes to be reaped.
    """
    return _count(_still(root, settle))


def memory(root: int, settle: float = 2.0) -> tuple[int, int]:
    """Return proportional set sizes in KiB, of the tree of *root* and of it without *root*.

    Parameters:
        root: process id; of a server with a master process, the master's.
        settle: seconds to wait at most for ended processes to be reaped.
    """
    states = _still(root, settle)
    below = {pid: state for pid, state in states.items() if pid != root}
    return _count(states).pss, _count(below).pss


def cpu(root: int, settle: float = 2.0) -> float:
    """Return the CPU seconds that the tree of *root* has used, user and system.

    Those of ended processes are in it once somebody of the tree has reaped them.

    Parameters:
        root: process id.
        settle: seconds to wait at most for ended processes to be reaped.
    """
    ticks = 0
    for pid in _still(root, settle):
        words = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()
        ticks += sum(map(int, words[11:15]))  # utime, stime, cutime, cstime
    return ticks / _TICKS


def _still(root: int, settle: float) -> dict[int, str]:
    """Return the tree of *root*, once it has been still for a moment."""
    deadline = time.monotonic() + settle
    before: set[int] = set()
    while True:
        states = tree(root)
        still = states.keys() == before and "Z" not in states.values()
        if still or time.monotonic() > deadline:
            return states
        before = set(states)
        time.sleep(0.05)


def tree(root: int) -> dict[int, str]:
    """Return process ids of *root* and all its descendants, with their states."""
    parents: dict[int, int] = {}
    states: dict[int, str] = {}
    for directory in PROC.iterdir():
        if directory.name.isdigit():
            text = _read(directory / "stat")
            if text:
                pid = int(directory.name)
                states[pid], parent = text.rpartition(")")[2].split()[:2]
                parents[pid] = int(parent)
    found = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: states[pid] for pid in found if pid in states}


def drift(values: list[int]) -> float:
    """Return by how much *values*, taken at even steps, grow from the first to the last.

    The slope is the median of those between all pairs (Theil and Sen): one outlier,
    such as a process that was just replaced, does not move it.
    """
    slopes = [
        (values[j] - values[i]) / (j - i)
        for i in range(len(values))
        for j in range(i + 1, len(values))
    ]
    return median(slopes) * (len(values) - 1) if slopes else 0.0


def _count(states: dict[int, str]) -> Census:
    pss = descriptors = maps = 0
    counted: list[int] = []
    for pid in states:
        if any(_share_memory(pid, other) for other in counted):
            continue  # one memory, two processes: root and serving child of `rewind`
        counted.append(pid)
        for line in _read(PROC / str(pid) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
        maps += _read(PROC / str(pid) / "maps").count("\n")
        try:
            descriptors += len(list((PROC / str(pid) / "fd").iterdir()))
        except OSError:
            continue
    zombies = list(states.values()).count("Z")
    return Census(pss, descriptors, maps, len(states), zombies)


def _share_memory(one: int, other: int) -> bool:
    """Return whether two processes have one memory (kcmp(2), KCMP_VM)."""
    return _LIBC.syscall(_SYS_KCMP, one, other, _KCMP_VM, 0, 0) == 0


def _read(path: Path) -> str:
    """Return a file of /proc; empty when its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
