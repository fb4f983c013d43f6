# SPDX-License-Identifier: MIT
"""A virtual machine that runs once: QEMU without hardware virtualization, without a disk."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SWAP_BYTES = 256 << 20


@dataclass(frozen=True)
class Hardware:
    """What a machine has.

    Parameters:
        memory: in MiB.
        cpus: how many.
        swap: whether there is a disk for swap; the guest needs the modules for it.
        share: whether the host's files can be mounted read-only (9p, tag ``host``).
        counted: a nanosecond in the guest is one instruction (-icount of qemu(1)): slow, and always
            the same. There is one processor then.
        words: more parameters of the kernel.
    """

    memory: int = 512
    cpus: int = 2
    swap: bool = False
    share: bool = False
    counted: bool = False
    words: str = ""


@dataclass(frozen=True)
class Console:
    """What a machine has said.

    Parameters:
        kernel: the first serial line, the kernel's console.
        told: the second, what the guest tells the host.
        seconds: how long it ran.
    """

    kernel: str
    told: str
    seconds: float


def boot(
    image: Path,
    initramfs: Path,
    log: Path,
    hardware: Hardware,
    seconds: float,
    watch: Callable[[str], None] | None = None,
) -> Console:
    """Boot a machine and wait until it is off.

    Parameters:
        image: the kernel.
        initramfs: its first file system.
        log: where the kernel's console goes; the guest's words go into ``.out`` beside it.
        hardware: of the machine.
        seconds: after which it is ended.
        watch: called with each line the guest tells, as it comes.

    Raises:
        VmError: QEMU does not start.
    """
    told = log.with_suffix(".out")
    for path in (log, told):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    # The guest ends a little earlier by itself, and can say what it was about.
    inside = f"lwcvm.seconds={max(seconds - 30, seconds / 2):.0f}"
    hardware = replace(hardware, words=f"{hardware.words} {inside}")
    command = _command(image, initramfs, log, told, hardware)
    # The limit is on QEMU itself: ended from outside, a script around it would leave it running.
    limit = ["timeout", "--kill-after=5", f"{seconds:g}", *command]
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            limit, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError:
        raise VmError("timeout(1) is missing: apt-get install coreutils") from None
    try:
        _follow(process, told, watch)
        printed = process.communicate()[0].decode(errors="replace")
    finally:
        process.terminate()  # passed on by timeout(1)
        process.wait()
    took = time.monotonic() - start
    if process.returncode == 127:
        raise VmError(f"QEMU is missing: apt-get install qemu-system-x86: {printed}")
    # Other codes say nothing: a panic and a proper end both give 0.
    if process.returncode == 1:
        raise VmError(f"QEMU did not start: {printed}")
    return Console(_text(log), _text(told), took)


def _command(image: Path, initramfs: Path, log: Path, told: Path, hardware: Hardware) -> list[str]:
    # Address randomization and mitigations stay on: users have them.
    words = "console=ttyS0 quiet panic=-1 oops=panic panic_on_warn=1 log_buf_len=4M"
    # Calls that need none, which distributions differ in: a test makes them.
    words += " vsyscall=xonly"
    # An emulated processor may have to wait for a real one: that is no fault of the kernel's.
    words += f" watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 {hardware.words}"
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-m", str(hardware.memory), "-smp", "1" if hardware.counted else str(hardware.cpus),
        # Never KVM: its device may be there and not work.
        "-accel", "tcg" if hardware.counted else "tcg,thread=multi",
        # Each step of a string instruction counts as one: with ERMS, pages would be copied by bytes.
        "-cpu", "max,erms=off" if hardware.counted else "max",
        "-kernel", str(image), "-initrd", str(initramfs),
        "-serial", f"file:{log}", "-serial", f"file:{told}",
    ]  # fmt: skip
    if hardware.counted:
        command += ["-icount", "shift=0,sleep=off"]
    if hardware.swap:
        disk = log.with_suffix(".swap")
        with open(disk, "wb") as file:
            file.truncate(_SWAP_BYTES)
        command += ["-drive", f"file={disk},if=none,id=swap,format=raw,cache=unsafe",
                    "-device", "virtio-blk-pci,drive=swap"]  # fmt: skip
        words += " lwcvm.swap=1"
    if hardware.share:
        shared = "path=/,security_model=none,readonly=on,multidevs=remap"
        command += ["-fsdev", f"local,id=root,{shared}",
                    "-device", "virtio-9p-pci,fsdev=root,mount_tag=host"]  # fmt: skip
    return [*command, "-append", words.strip()]


def _follow(
    process: subprocess.Popen[bytes], told: Path, watch: Callable[[str], None] | None
) -> None:
    """Hand on each line as it comes, until the process has ended."""
    with open(told, "rb") as file:
        rest = b""
        ended = False
        while not ended:
            ended = process.poll() is not None
            *lines, rest = (rest + file.read()).split(b"\n")
            if watch:
                for line in lines:
                    watch(line.decode(errors="replace").rstrip("\r"))
            if not ended:
                time.sleep(0.05)


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace").replace("\r", "")
