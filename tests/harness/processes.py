# SPDX-License-Identifier: MIT
"""Looking at processes through /proc (proc(5))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process as it was at one moment.

    Parameters:
        pid, parent, session: ids.
        state: one letter, as in /proc/PID/stat; Z is a zombie.
        name: the command's name.
    """

    pid: int
    parent: int
    session: int
    state: str
    name: str


def look(pid: int) -> Process | None:
    """Return the process *pid*, None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), int(fields[3]), fields[0], name)


def every() -> list[Process]:
    """Return all processes of the machine."""
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


def alive(pid: int) -> bool:
    """Tell whether *pid* exists and is no zombie."""
    process = look(pid)
    return process is not None and process.state not in "ZX"


def children(pid: int) -> list[Process]:
    """Return the children of *pid*, zombies included, oldest first."""
    return sorted((p for p in every() if p.parent == pid), key=lambda p: p.pid)


def marked(mark: str) -> list[Process]:
    """Return the live processes whose environment at their start held *mark*."""
    wanted, found = mark.encode(), []
    for process in every():
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue  # gone, or somebody else's
        if wanted in environment:
            found.append(process)
    return found


def where(pid: int) -> str:
    """Return what *pid* is doing, in words for who looks for a hang."""
    process = look(pid)
    if not process:
        return f"{pid} is gone"
    waits = []
    for name in ("wchan", "syscall"):
        try:
            waits.append(Path(f"/proc/{pid}/{name}").read_text().strip())
        except OSError as error:
            waits.append(repr(error))
    return f"{pid} of {process.parent} ({process.name}) {process.state}, in {', '.join(waits)}"


def proportional_memory(pid: int) -> int:
    """Return the proportional set size of *pid* in KiB (proc_pid_smaps_rollup(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LookupError(f"no Pss of {pid}")


def descriptors(pid: int) -> int:
    """Return how many descriptors *pid* has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
