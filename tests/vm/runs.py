# SPDX-License-Identifier: MIT
"""Whole runs: build what is needed, boot a kernel with it, judge what it said."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import build, cache, initramfs, kernels, machine, verdict
from tests.vm.machine import Hardware

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.vm.kernels import Kernel
    from tests.vm.verdict import Verdict

_SLOW = 6  # so much longer a debug kernel takes

# The emulator now and then runs code that a kernel is just patching (int3), also while it starts:
# before anything of ours is there, that says nothing.
_BOOTS = 3

# KASAN tells already who has allocated and freed an object; telling it twice costs seconds. The
# firmware's program for the routing of interrupts would run into its time limit.
_DEBUG_WORDS = "slub_debug=FZP pci=noacpi"


def run(
    kernel: Kernel,
    label: str,
    script: str,
    *,
    module: Path | None = None,
    parameters: str = "",
    modules: Sequence[str] = (),
    files: Mapping[str, Path | bytes] | None = None,
    hardware: Hardware | None = None,
    seconds: float = 120,
    watch: Callable[[str], None] | None = None,
) -> Verdict:
    """Boot a kernel, load the module, run a script, unload the module; return the verdict.

    Parameters:
        kernel: to boot.
        label: of the run, for the name of its log in ``build/vm``.
        script: for busybox's sh in the guest.
        module: lwc.ko, or None to load nothing.
        parameters: of the module.
        modules: names of the kernel's own modules to load before it.
        files: more files for the guest's root directory.
        hardware: of the machine.
        seconds: after which a stock kernel is ended; a debug kernel has more.
        watch: called with each line the guest tells.
    """
    hardware = hardware or Hardware()
    if kernel.is_debug:
        hardware = replace(hardware, words=_DEBUG_WORDS, memory=2 * hardware.memory)
    names = [*modules, *(("virtio_pci", "virtio_blk") if hardware.swap else ())]
    with cache.locked_first(build.BUILD / "vm", f"{kernel.name}-{label}") as path:
        # Not with_suffix(): the name of a kernel has a point in it.
        log, archive = Path(f"{path}.log"), Path(f"{path}.cpio")
        initramfs.write(archive, script, module, parameters, kernel.modules(*names), files)
        limit = seconds * (_SLOW if kernel.is_debug else 1)
        for _ in range(_BOOTS):
            console = machine.boot(kernel.image, archive, log, hardware, limit, watch)
            if console.told or "Kernel panic" not in console.kernel:
                break
    title = f"{kernel.name} ({kernel.version}) {label}"
    return verdict.read(console, title, log)


def suite(
    name: str,
    tests: Sequence[str] = (),
    *,
    label: str = "suite",
    arguments: Sequence[str] = (),
    defines: Sequence[str] = (),
    parameters: str = "",
    script: str | None = None,
    seconds: float = 300,
    watch: Callable[[str], None] | None = None,
) -> Verdict:
    """Build module and C tests, run tests in a kernel, and return the verdict.

    Parameters:
        name: of the kernel.
        tests: names of tests; none means all quick ones.
        label: of the run.
        arguments: more arguments of lwc-suite.
        defines: for the preprocessor of the module.
        parameters: of the module.
        script: run this instead; ``/lwc-suite`` is there.
        seconds: after which it is ended; see `run`.
        watch: called with each line the guest tells.
    """
    kernel = kernels.get(name)
    module = build.module(kernel, defines)
    words = [*arguments, *tests]
    if script is None:
        script = f"/lwc-suite {shlex.join(words)}\n"
    return run(
        kernel,
        label,
        script,
        module=module,
        parameters=parameters,
        files={"lwc-suite": build.suite()},
        hardware=Hardware(memory=768, swap=True),
        seconds=seconds,
        watch=watch,
    )
