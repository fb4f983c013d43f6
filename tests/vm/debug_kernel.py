# SPDX-License-Identifier: MIT
"""A kernel that looks for faults: Debian's source with KASAN, lockdep, kmemleak and more.

No such kernel comes as a package. Building one takes some ten minutes on two processors, once
per release of the source and version of ``debug.config``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from tests.vm import cache, command, debian
from tests.vm.errors import VmError
from tests.vm.kernels import Kernel

SERIES = ("6.1", "6.12")
_CONFIG = Path(__file__).with_name("debug.config")

# What building modules needs of the tree; the rest is a gigabyte.
_KEPT = ("arch", "include", "scripts", "tools", "Makefile", "Kbuild", ".config", "Module.symvers")
_DROPPED = (".c", ".o", ".a", ".S", ".cmd", ".ko")


def get(name: str) -> Kernel:
    """Return the debug kernel of a series, built where the cache has not got it.

    Parameters:
        name: ``debug-`` and the series.

    Raises:
        VmError: no such series, no source to be had, or the build failed.
    """
    series = name.removeprefix("debug-")
    if series not in SERIES:
        raise VmError(f"no kernel {name}: there are debug-{' and debug-'.join(SERIES)}")
    package = f"linux-source-{series}"
    try:
        version = debian.fields(package)["Version"]
    except debian.Unavailable:
        folder = cache.newest(name)
        if folder is None:
            raise
        return Kernel(name, folder.name, folder)

    def fill(folder: Path, final: Path) -> None:
        _fill(series, folder)

    key = hashlib.sha256("\n".join(options(series)).encode()).hexdigest()[:8]
    folder = cache.entry(name, f"{version}-{key}", fill)
    return Kernel(name, version, folder)


def options(series: str) -> list[str]:
    """Return the lines of ``debug.config`` that apply to a series, without remarks."""
    lines = []
    for line in _CONFIG.read_text().splitlines():
        option, _, remark = line.partition("#")
        only = re.search(r"only (\S+)", remark)
        if option and (only is None or only[1] == series):
            lines.append(option.strip())
    return lines


def missing(wanted: list[str], config: str) -> list[str]:
    """Return the wanted options that a ``.config`` has not got: Kconfig drops them in silence."""
    have = set(config.splitlines())
    return [
        line
        for line in wanted
        if (line not in have if not line.endswith("=n") else f"{line[:-1]}y" in have)
    ]


def _fill(series: str, folder: Path) -> None:
    """Download, configure, build and lay out an entry as `kernels` does."""
    package = f"linux-source-{series}"
    (deb,) = debian.download([package], folder)
    debian.unpack(deb, folder, f"./usr/src/{package}.tar.xz")
    command.run(["tar", "-x", "-f", folder / "usr/src" / f"{package}.tar.xz", "-C", folder])
    tree = folder / package

    command.run(["make", "tinyconfig"], tree)
    wanted = options(series)
    config = tree / ".config"
    config.write_text(config.read_text() + "\n".join(wanted) + "\n")
    command.run(["make", "olddefconfig"], tree)
    if absent := missing(wanted, config.read_text()):
        raise VmError(
            f"Linux {series} did not take {', '.join(absent)}: add what they depend on to "
            f"{_CONFIG.name}, or mark them as of the other series"
        )
    jobs = os.cpu_count() or 1
    command.run(["nice", "-n", "19", "make", "-s", f"-j{jobs}", "bzImage", "modules_prepare"], tree)
    shutil.copy(tree / "arch/x86/boot/bzImage", folder / "vmlinuz")
    # `make modules` would make this of more modules than we want; the kernel itself is enough.
    shutil.copy(tree / "vmlinux.symvers", tree / "Module.symvers")

    build = folder / "build"
    build.mkdir()
    for name in _KEPT:
        (tree / name).rename(build / name)
    for path in build.rglob("*"):
        if path.suffix in _DROPPED and path.is_file() and build / "scripts" not in path.parents:
            path.unlink()
    shutil.rmtree(tree)
    shutil.rmtree(folder / "usr")
    deb.unlink()
