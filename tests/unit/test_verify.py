# SPDX-License-Identifier: MIT
"""What `--verify` sees: one change of each kind (verify_changes.c) in a frozen process."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "lwcgi" / "_core" / "src"
SOURCES = [
    HERE / "verify_probe.c",
    HERE / "verify_changes.c",
    *sorted(CORE.glob("verify*.c")),
    *(CORE / name for name in ("attributes.c", "text.c", "stubs.c")),
]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
FLAGS = ["-std=gnu11", "-O1", "-D_GNU_SOURCE", f"-I{CORE}", *WARNINGS]
# Bound at start, so that no first call of a function writes; symbols of its own to be named.
LINK = ["-rdynamic", "-Wl,-z,now"]
CANNOT = 77

NO_DIFFERENCE = ("nothing", "exempt", "read_blank", "protect_and_back", "detach", "own_descriptor")

# The change, and what the line must say: a regular expression.
DIFFERENCES = {
    # Memory: where, what was there, what is there, and whose it is.
    "heap": r"memory at 0x\w+064, page 0x\w+000, offset 0x64 of .* byte 0x61, found 0x60;"
    r" expected word 0x6161616161616161, found 0x6161616061616161$",
    "data": r"memory .* word 0x7, found 0x8; C symbol probe_number\+0x0$",
    "zeros": r"memory .* word 0x0, found 0x1; C symbol probe_zeros\+0x15e0$",
    "object": r"memory .* Python object of type list_of_ours at 0x\w+000\+0x20$",
    "gc_head": r"memory .* in front of a Python object of type list_of_ours at 0x\w+000$",
    "blank": r"memory .*, offset 0x1005 of .* byte 0x0, found 0x1;",
    "file_page": r"memory .*, offset 0x2008 of mapping 0x\w+ /.* found 0x78;",
    "readonly": r"memory .* byte 0x0, found 0x3;",
    "closed": r"memory .* byte 0x0, found 0x3;",
    "text": r"memory .* of mapping 0x\w+ /.*/probe: .* found 0xcc;.* C symbol ",
    "drop_page": r"memory .* byte 0x61, found 0x0;",
    "guard_page": r"(mapping .* gu|memory .*: cannot be read)$",
    # Mappings.
    "add_mapping": r"mapping \w+-\w+: .*rw-p",
    "remove_mapping": r"mapping \w+-\w+: rw-p .*: is gone",
    "protect_mapping": r"mapping \w+-\w+: rw-p .* what comes next is \w+-\w+: rw-p",
    "lock_page": r"mapping .* lo$",
    "not_inherited": r"mapping .* dc$",
    "wiped_on_fork": r"mapping .* wf$",
    "other_file": r"mapping \w+-\w+: expected rw-p .*, found rw-p .* \(/.*/probe\)$",
    "brk": r"mapping .*\[heap\]",
    # Descriptors.
    "open": r"descriptor \d+: device .*: is new$",
    "close": r"descriptor 50: device .*: is gone",
    "dup2": r"descriptor 50: expected device .* inode (\d+) .*, found device .* inode (?!\1 )",
    "lseek": r"descriptor 50: expected offset 16384, found offset 33$",
    "append": r"descriptor 50: expected F_GETFL 0x8002, found F_GETFL 0x8402$",
    "cloexec": r"descriptor 50: expected F_GETFD 0, found F_GETFD 1$",
    "owner": r"descriptor 50: expected owner 0, found owner 1$",
    "setsig": r"descriptor 50: expected signal 0, found signal 10$",
    "lease": r"descriptor 50: expected ",
    "flock": r"descriptor 50: expected nothing, found lock FLOCK ADVISORY WRITE ",
    "posix_lock": r"descriptor 50: expected nothing, found lock POSIX ADVISORY WRITE ",
    # Attributes.
    "umask": r"attribute Umask: expected 0022, found 0077$",
    "chdir": r"attribute /proc/self/cwd: expected \d+:\d+ inode \d+, found \d+:\d+ inode 1$",
    "chroot": r"attribute root directory: expected inode \d+, found \d+$",
    "setgroups": r"attribute Groups: expected .*, found 1 2 3 $",
    "setgid": r"attribute Gid: expected .*, found 1000 1000 1000 1000$",
    "setuid": r"attribute Uid: expected .*, found 1000 1000 1000 1000$",
    "drop_capabilities": r"attribute CapPrm: expected \w+, found 0000000000000000$",
    "capbset_drop": r"attribute CapBnd: ",
    "securebits": r"attribute securebits: expected 0, found 1$",
    "keepcaps": r"attribute kept capabilities: expected 0, found 1$",
    "no_new_privs": r"attribute NoNewPrivs: expected 0, found 1$",
    "seccomp": r"attribute (Seccomp|NoNewPrivs): ",
    "sigprocmask": r"attribute SigBlk: expected 0000000000000000, found 00000000000000ff$",
    "sigaction": r"attribute SigCgt: expected \w+, found 0000000000000200$",
    "sigaction_flags": r"attribute action for signal 12: expected 0x1 0x1400.*, found 0x1 0x1000",
    "sigignore": r"attribute SigIgn: expected \w+, found \w+1800$",
    "sigaltstack": r"attribute alternate stack: .* found 0x10000 0x0 0x10000$",
    "send_signal": r"attribute (ShdPnd|SigPnd): expected 0000000000000000, found \w+200$",
    "setrlimit": r"attribute resource limit NOFILE: expected .*, found 0x64 0x64$",
    "nice": r"attribute nice: expected -?\d+, found 5$",
    "ioprio": r"attribute I/O priority: expected 0, found 24576$",
    "scheduler": r"attribute scheduling policy: expected 0, found 3$",
    "affinity": r"attribute Cpus_allowed: expected \w+, found 1$",
    "timerslack": r"attribute timer slack: expected \d+, found 123456$",
    "itimer_real": r"attribute interval timer real: expected 0x0 0x0 0x0 0x0, found ",
    "itimer_virtual": r"attribute interval timer virtual: expected 0x0 0x0 0x0 0x0, found ",
    "itimer_prof": r"attribute interval timer profiling: expected 0x0 0x0 0x0 0x0, found ",
    "timer_create": r"attribute /proc/self/timers: expected nothing, found ID: 0 ",
    "comm": r"attribute Name: expected probe, found renamed$",
    "personality": r"attribute personality: expected 0, found 262144$",
    "dumpable": r"attribute dumpable: expected 1, found 0$",
    "thp_disable": r"attribute (THP_enabled|transparent huge pages disabled): ",
    "mdwe": r"attribute memory-deny-write-execute: expected 0, found 1$",
    "memory_merge": r"(mapping .* mg|attribute memory merge: )",
    "io_flusher": r"attribute I/O flusher: expected 0, found 1$",
    "mce_kill": r"attribute machine check policy: expected 2, found 1$",
    "tsc": r"attribute time stamp counter: expected 0x1, found 0x2$",
    "subreaper": r"attribute child subreaper: expected 0x0, found 0x1$",
    "pdeathsig": r"attribute death signal: expected 0x9, found 0xa$",
    "arg_start": r"attribute memory layout: ",
    "membarrier": r"attribute membarrier registrations: expected 0, found 16$",
    "protection_key": r"attribute protection keys: expected 0x1, found 0x3$",
    "mlockall_future": r"attribute VmLck: expected 0 kB, found 4 kB$",
    "mempolicy": r"attribute memory policy: expected 0x0 .*, found 0x\w+ ",
    "robust_list": r"attribute robust list: expected 0x0 .*, found 0x1000 0x18$",
    "tid_address": r"attribute thread id address: expected 0x0, found 0x1000$",
    "coredump_filter": r"attribute /proc/self/coredump_filter: .*, found 0000007f $",
    "oom_score": r"attribute /proc/self/oom_score_adj: expected .*, found 123 $",
    "setpgid": r"attribute process group: expected its own, found \d+$",
    "setsid": r"attribute session: expected \d+, found \d+$",
    "unshare_uts": r"attribute namespace uts: expected uts:\[\d+\], found uts:\[\d+\]$",
    "unshare_pid": r"attribute namespace pid_for_children: expected pid:",
    # Processes.
    "leave_thread": r"attribute Threads: expected 1, found 2$",
    "leave_child": r"attribute children: expected nothing, found \d+ $",
    "leave_stray": r"process \d+: a child of the worker that is left over$",
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the probe."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "a C compiler is needed"
    path = tmp_path_factory.mktemp("verify") / "probe"
    subprocess.run([compiler, *FLAGS, *LINK, "-o", path, *SOURCES], check=True, timeout=100)
    return path


def told(probe: Path, change: str) -> tuple[str, str]:
    """Return what is said before and after a *change*."""
    done = subprocess.run(
        [probe, change], stdout=subprocess.PIPE, text=True, timeout=30, check=False
    )
    if done.returncode == CANNOT:
        pytest.skip(f"this kernel or user cannot make the change {change!r}")
    assert done.returncode == 0, done.stdout
    before, after = done.stdout.split("\n")[:2]
    return before, after


@pytest.mark.parametrize("change", NO_DIFFERENCE)
def test_equal_states_are_equal(probe: Path, change: str):
    """What changes nothing, or only what belongs to the root, is no difference."""
    assert told(probe, change) == ("before 0 ", "after 0 ")


@pytest.mark.parametrize("change", DIFFERENCES)
def test_difference_is_named(probe: Path, change: str):
    """Each kind of change is seen, and the line says where and what."""
    before, after = told(probe, change)
    assert before == "before 0 "
    assert re.match(f"after 1 {DIFFERENCES[change]}", after), after


def test_every_change_of_the_probe_is_tested(probe: Path):
    """No change is listed by the probe alone, or by this file alone."""
    listed = subprocess.run([probe], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    assert sorted(listed.stdout.split()) == sorted([*NO_DIFFERENCE, *DIFFERENCES])
