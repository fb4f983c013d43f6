# SPDX-License-Identifier: MIT
"""The harness notices what goes wrong in a guest."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.vm import debug_kernel, initramfs, kernels, names, runs, verdict
from tests.vm.machine import Console

pytestmark = pytest.mark.timeout(600)

_GOOD = """LWCVM kernel 6.1
LWCVM loaded
TEST one ok 12
# a remark
TEST two SKIP needs a disk
LWCVM exit 0
LWCVM unloaded
LWCVM dmesg-begin
[    1.0] Linux version 6.1
[    2.0] lwc: unloaded, 0 live objects
LWCVM dmesg-end
LWCVM end
"""


def _read(told: str, kernel: str = "") -> verdict.Verdict:
    return verdict.read(Console(kernel, told, 1.0), "6.1 (6.1.0) suite", Path("x.log"))


def test_a_good_run() -> None:
    """A run that comes to its end has results and no problems."""
    found = _read(_GOOD)
    assert found.is_good
    assert found.live == 0
    assert found.results == {
        "one": verdict.Result("ok", "12"),
        "two": verdict.Result("SKIP", "needs a disk"),
    }
    assert "2 tests, 0 failed, 1 skipped, 0 live objects" in found.summary()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("LWCVM end\n", "", "did not come to its end"),
        ("0 live objects", "3 live objects", "3 objects of the module were left"),
        ("lwc: unloaded, 0 live objects", "", "no line `lwc: unloaded"),
        ("LWCVM exit 0", "LWCVM exit 139", "exit status 139"),
        ("LWCVM unloaded", "LWCVM failed: rmmod lwc", "failed: rmmod lwc"),
        ("Linux version 6.1", "BUG: Bad rss-counter state mm:1", "Bad rss-counter"),
        ("Linux version 6.1", "WARNING: possible recursive locking", "recursive locking"),
        (
            "LWCVM unloaded",
            "LWCVM unloaded\nLWCVM kmemleak-begin\nunreferenced object 0x1\nLWCVM kmemleak-end",
            "kmemleak: unreferenced object",
        ),
    ],
)
def test_a_problem(before: str, after: str, problem: str) -> None:
    """Each thing that can be wrong beside the tests makes the run a failed one."""
    assert before in _GOOD
    found = _read(_GOOD.replace(before, after))
    assert not found.is_good
    assert problem in "; ".join(found.problems)


def test_a_panic_on_the_console() -> None:
    """Where the guest told nothing more, the console speaks."""
    found = _read("TEST one ok 1\n", "[ 1.0] Kernel panic - not syncing: Fatal exception\n")
    assert "Kernel panic" in "; ".join(found.problems)
    assert "Kernel panic" in found.report()


@pytest.mark.parametrize(
    ("told", "boots"), [(["", _GOOD], 2), (["", "", ""], 3), (["LWCVM kernel 6.1\n"], 1)]
)
def test_a_panic_before_the_guest_begins(
    told: list[str], boots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where nothing of ours was there is the kernel booted again; not for ever."""
    name = names.kernels()[0]
    consoles = [Console("" if one == _GOOD else "Kernel panic - x", one, 1.0) for one in told]
    left = iter(consoles)
    monkeypatch.setattr(runs.machine, "boot", lambda *_: next(left))
    found = runs.run(kernels.get(name), "panic", "true\n")
    assert found.is_good == (told[-1] == _GOOD)
    assert len(consoles) - len(list(left)) == boots


def test_the_worst_result_counts() -> None:
    """A name that is reported twice has failed if it failed once."""
    found = _read(_GOOD.replace("# a remark", "TEST one FAIL file.c:3: not so\nTEST one ok 3"))
    assert found.results["one"] == verdict.Result("FAIL", "file.c:3: not so")
    assert found.failed == ["one"]


def test_messages_of_checkers_at_boot_are_no_faults() -> None:
    """What a debug kernel says about its checkers is no complaint."""
    boot = "kasan: KernelAddressSanitizer initialized\n[ 1.1] kmemleak: Kernel memory leak detector"
    assert _read(_GOOD.replace("Linux version 6.1", boot)).is_good


def test_the_archive_can_be_read(tmp_path: Path) -> None:
    """Another program reads the archive that we write."""
    path = tmp_path / "archive"
    initramfs.write(path, "echo hello\n", files={"some": b"content"})
    with open(path, "rb") as archive:
        done = subprocess.run(
            ["busybox", "cpio", "-t"], stdin=archive, capture_output=True, text=True, check=True
        )
    assert {"init", "bin/busybox", "bin/sh", "dev/console", "script", "some"} <= set(
        done.stdout.split()
    )


def test_options_of_a_series() -> None:
    """Options of one series are not asked of the other, and one that was dropped is named."""
    old, new = debug_kernel.options("6.1"), debug_kernel.options("6.12")
    assert "CONFIG_DEBUG_CREDENTIALS=y" in old
    assert "CONFIG_DEBUG_CREDENTIALS=y" not in new
    assert not [line for line in old + new if not re.fullmatch(r"CONFIG_\w+=\w+", line)]
    assert debug_kernel.missing(["CONFIG_A=y", "CONFIG_B=n"], "CONFIG_B=y") == [
        "CONFIG_A=y",
        "CONFIG_B=n",
    ]


def test_names_are_unique() -> None:
    """No two C tests share a name."""
    found = names.suite_tests()
    assert len(found) == len(set(found))


def test_a_real_panic() -> None:
    """A kernel that panics has not passed, although QEMU ends as after a shutdown."""
    kernel = kernels.get(names.QUICK_KERNELS[0])
    found = runs.run(kernel, "panic", "echo c >/proc/sysrq-trigger\n", seconds=120)
    assert re.search("Kernel panic - not syncing: sysrq", "; ".join(found.problems))


def test_a_module_of_another_kernel() -> None:
    """A module that cannot be loaded fails the run with the kernel's own words."""
    kernel, other = (kernels.get(name) for name in names.QUICK_KERNELS)
    (module,) = other.modules("overlay")
    found = runs.run(kernel, "other", "echo TEST never ok 1\n", module=module, seconds=120)
    assert not found.results
    assert "failed: insmod lwc.ko" in found.problems
    assert re.search(r"lwc.*(version magic|Exec format|invalid)", "; ".join(found.problems))


@pytest.mark.slow
def test_a_guest_that_takes_too_long() -> None:
    """A guest whose time is up says where its tasks are, and comes to its end."""
    kernel = kernels.get(names.QUICK_KERNELS[0])
    found = runs.run(kernel, "long", "echo begun; sleep 1000\n", seconds=40)
    assert "failed: not done after 20 s; where its tasks are, is told above" in found.problems
    assert "begun" in found.told
