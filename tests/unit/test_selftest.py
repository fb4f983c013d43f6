# SPDX-License-Identifier: MIT
"""The self-test of what the engine `rewind` takes for granted."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import signal
import subprocess
import sys

import pytest

from lwcgi import _core
from tests.harness.lacking_kernel import NO_DISPATCH, NO_UFFD, Rule, command

# System calls of x86-64, and what they are told.
IOCTL, MADVISE, CLONE, GETRUSAGE, PRCTL = 16, 28, 56, 98, 157
PROCESS_VM_READV, USERFAULTFD = 310, 323
API, REGISTER, WRITEPROTECT = 0xC018AA3F, 0xC020AA00, 0xC018AA06
PAGEMAP_SCAN = 0xC0606610
SET_DISPATCH, MADV_DONTNEED, RUSAGE_THREAD, VM_AND_FILES = 59, 4, 1, 0x500

RELEASE = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
needs_linux_6_7 = pytest.mark.skipif(RELEASE < (6, 7), reason="needs Linux 6.7 (PAGEMAP_SCAN)")

TELL = """
import dataclasses, json
from lwcgi import _core
print(json.dumps(dataclasses.asdict(_core.selftest())))
"""


def found_under(rules: list[Rule]) -> dict[str, object]:
    """Return what the self-test finds on a kernel with *rules*."""
    told = subprocess.run(
        command(rules, sys.executable, "-c", TELL), capture_output=True, timeout=30, check=True
    )
    found: dict[str, object] = json.loads(told.stdout)
    return found


@needs_linux_6_7
def test_every_premise_holds_here():
    """A stock kernel passes."""
    found = _core.selftest()
    assert (found.premise, found.mapping, found.err) == ("", "", 0)


@needs_linux_6_7
@pytest.mark.parametrize(
    ("rules", "premise", "mapping", "err"),
    [
        (NO_UFFD, "userfaultfd can be opened", "", errno.EPERM),
        (
            [Rule(IOCTL, errno.EINVAL, 1, API)],
            "userfaultfd protects asynchronously",
            "",
            errno.EINVAL,
        ),
        (
            [Rule(IOCTL, errno.ENOTTY, 1, PAGEMAP_SCAN)],
            "PAGEMAP_SCAN lists pages",
            "",
            errno.ENOTTY,
        ),
        (
            [Rule(IOCTL, errno.EINVAL, 1, REGISTER)],
            "memory can be write-protected",
            "anonymous memory",
            errno.EINVAL,
        ),
        (
            [Rule(IOCTL, 0, 1, WRITEPROTECT)],
            "memory can be write-protected",
            "anonymous memory",
            0,
        ),
        (
            [Rule(GETRUSAGE, 0, 0, RUSAGE_THREAD)],
            "every first write is counted",
            "anonymous memory",
            0,
        ),
        ([Rule(IOCTL, 0, 1, PAGEMAP_SCAN)], "every written page is found", "anonymous memory", 0),
        (
            [Rule(MADVISE, 0, 2, MADV_DONTNEED)],
            "a dropped page is empty and seen",
            "anonymous memory",
            0,
        ),
        (
            [Rule(CLONE, errno.EAGAIN, 0, VM_AND_FILES)],
            "a task in shared memory counts for itself",
            "anonymous memory",
            errno.EAGAIN,
        ),
        (
            [Rule(PROCESS_VM_READV, errno.EPERM)],
            "a forked copy holds the originals",
            "anonymous memory",
            errno.EPERM,
        ),
        ([Rule(USERFAULTFD, -1)], "userfaultfd can be opened", "", -signal.SIGSYS),
    ],
)
def test_premise_that_fails_is_named(rules: list[Rule], premise: str, mapping: str, err: int):
    """A kernel that refuses a call, or only pretends it, is told by the premise that fails."""
    found = found_under(rules)
    assert (found["premise"], found["mapping"], found["err"]) == (premise, mapping, err)
    assert found["remedy"]


@needs_linux_6_7
@pytest.mark.skipif(
    not os.access("/dev/userfaultfd", os.R_OK | os.W_OK), reason="needs /dev/userfaultfd"
)
def test_device_stands_in_for_the_call():
    """Where the call is blocked, /dev/userfaultfd will do."""
    assert found_under([Rule(USERFAULTFD, errno.ENOSYS)])["premise"] == ""


@needs_linux_6_7
@pytest.mark.parametrize(
    ("rules", "unseen"),
    [
        (NO_DISPATCH, errno.EINVAL),
        ([Rule(PRCTL, 0, 0, SET_DISPATCH)], 0),
        ([Rule(PRCTL, -1, 0, SET_DISPATCH)], -signal.SIGSYS),
    ],
)
def test_dispatch_is_not_needed(rules: list[Rule], unseen: int):
    """Without syscall user dispatch every premise holds, and that it is missing is told."""
    found = found_under(rules)
    assert (found["premise"], found["unseen"]) == ("", unseen)


LEFT = """
import json, os, signal
from lwcgi import _core
ffi, lib = _core.ffi, _core.lib
result = ffi.new("struct lw_selftest *")
path = _core._lwcgi.__file__.encode()
came = []
signal.signal(signal.SIGCHLD, lambda *_: came.append("SIGCHLD"))

def state():
    with open("/proc/self/maps") as file:
        maps = [line.split("-")[0] for line in file]
    with open("/proc/self/status") as file:
        status = [line for line in file if line.startswith(("Sig", "Shd", "Seccomp:"))]
    try:
        children = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        children = None
    return sorted(os.listdir("/proc/self/fd")), maps, status, children, came

# What Python maps for itself now and then is no leftover: that would be there each time.
for _ in range(10):
    before = state()
    lib.lw_selftest(path, result)
    after = state()
    if before == after:
        break
print(json.dumps([before, after, bool(result.premise)]))
"""


@pytest.mark.parametrize("rules", [[], NO_UFFD, NO_DISPATCH, [Rule(USERFAULTFD, -1)]])
def test_nothing_is_left_behind(rules: list[Rule]):
    """Descriptors, mappings, signals and children are afterwards as they were before."""
    told = subprocess.run(
        command(rules, sys.executable, "-c", LEFT), capture_output=True, timeout=30, check=True
    )
    before, after, _ = json.loads(told.stdout)
    assert after == before


@needs_linux_6_7
def test_ignored_child_signals_do_not_matter():
    """It works where SIGCHLD is ignored, and children vanish by themselves."""
    program = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)" + TELL
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=30, check=True
    )
    assert json.loads(told.stdout)["premise"] == ""
