# SPDX-License-Identifier: MIT
"""The very checkout and virtual environment of this machine, inside a guest with the module.

The guest mounts the host's files read-only (9p) under a file system of its own for what it
writes, so nothing has to be copied, and nothing comes back but words.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from tests.vm import build, kernels, runs
from tests.vm.errors import VmError
from tests.vm.machine import Hardware
from tests.vm.names import GUEST_TESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vm.verdict import Verdict

# The plugins of the project alone: each is read over 9p.
_PYTEST = 'PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$PYTHON" -m pytest -p pytest_timeout'
_ONE_TEST = 1800  # seconds: the longest has all checks of the mutations in it
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")

_ENTER = """
mkdir -p /mnt/host /mnt/own /mnt/all
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /mnt/host || exit 9
mount -t tmpfs own /mnt/own && mkdir /mnt/own/upper /mnt/own/work
mount -t overlay -o lowerdir=/mnt/host,upperdir=/mnt/own/upper,workdir=/mnt/own/work \
    all /mnt/all || exit 9
for folder in proc sys dev dev/pts dev/shm; do
    mkdir -p /mnt/all/$folder
    mount -o bind /$folder /mnt/all/$folder || exit 9
done
"""


def run(
    name: str,
    command: str,
    *,
    label: str = "guest",
    defines: Sequence[str] = (),
    parameters: str = "",
    seconds: float = 300,
    watch: Callable[[str], None] | None = None,
) -> Verdict:
    """Run a shell command in the checkout inside a guest, with the module loaded.

    Parameters:
        name: of the kernel; not a cloud one.
        command: for the host's /bin/sh. ``$PYTHON`` is the interpreter that runs us.
        label: of the run.
        defines: for the preprocessor of the module.
        parameters: of the module.
        seconds: after which it is ended.
        watch: called with each line the guest tells.

    Raises:
        VmError: that kernel cannot mount the host's files.
    """
    if name.endswith("-cloud"):
        raise VmError(f"{name} has no 9p: use {name.removesuffix('-cloud')}")
    kernel = kernels.get(name)
    environ = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    inside = f"cd {shlex.quote(str(build.ROOT))} && {command}"
    assignments = [f"{key}={value}" for key, value in environ.items()]
    words = ["chroot", "/mnt/all", "/usr/bin/env", "-i", *assignments, "/bin/sh", "-c", inside]
    return runs.run(
        kernel,
        label,
        f"{_ENTER}{shlex.join(words)}\n",
        module=build.module(kernel, defines),
        parameters=parameters,
        modules=_MODULES,
        hardware=Hardware(memory=2048, share=True),
        seconds=seconds,
        watch=watch,
    )


def run_tests(name: str, selected: Sequence[str]) -> Verdict:
    """Run the Python tests of ``guest_tests`` inside a guest.

    Parameters:
        name: of the kernel.
        selected: as ``file::function`` (see `names.guest_tests`); none means all.
    """
    folder = GUEST_TESTS.relative_to(build.ROOT)
    targets = [f"{folder}/{case.replace('::', '.py::', 1)}" for case in selected] or [str(folder)]
    command = f"{_PYTEST} -c {folder}/pytest.ini {shlex.join(targets)}"
    return run(name, command, label="python", seconds=600)


def run_contract(
    name: str, label: str, selected: Sequence[str], seconds: float, mutants: str = ""
) -> Verdict:
    """Run tests of ``tests/contract`` inside a guest, with the gateway there.

    Parameters:
        name: of the kernel.
        label: of the run.
        selected: the tests, as ``file::function[parameters]``.
        seconds: after which it is ended.
        mutants: folder of a build that can leave steps out, for the tests of mutations.
    """
    targets = [f"tests/contract/{test.replace('::', '.py::', 1)}" for test in selected]
    options = f"-p tests.vm.guest_tests.contract -p no:cacheprovider -o timeout={_ONE_TEST}"
    command = f"MUTANTS={shlex.quote(mutants)} {_PYTEST} {options}"
    return run(
        name,
        f"{command} -q --color=no --tb=short {shlex.join(targets)}",
        label=label,
        seconds=seconds,
    )
