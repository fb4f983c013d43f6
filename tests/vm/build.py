# SPDX-License-Identifier: MIT
"""Builds the module for a kernel, and the suite that tries it; never in the source tree."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import cache, command, kernels
from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vm.kernels import Kernel

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "kmod"
SUITE = ROOT / "tests" / "vm" / "suite"
BUILD = ROOT / "build"

_WORDS = re.compile(r"^.*(?:warning|WARNING): .*$", re.MULTILINE)
_DONE = ".done"  # in a build folder: what its result was made of


def module(kernel: Kernel, defines: Sequence[str] = (), source: Path = SOURCE) -> Path:
    """Build the module for a kernel and return its file; without a change nothing is built.

    Parameters:
        kernel: the one it is for.
        defines: names, or names with values, that the preprocessor is to know.
        source: the module's folder, with its Kbuild.

    Raises:
        VmError: there are no sources, or the compiler or modpost had something to say.
    """
    if not any((source / name).exists() for name in ("Kbuild", "Makefile")):
        raise VmError(f"no module to build: {source} has no Kbuild")
    label = "-".join([kernel.name, *(re.sub(r"\W", "_", define) for define in defines)])
    folder, result = BUILD / "kmod" / label, BUILD / "kmod" / f"{label}.ko"
    flags = " ".join(["-Werror", *(f"-D{define}" for define in defines)])
    words: list[str | Path]
    words = ["make", "-C", kernel.tree, f"M={folder}", f"-j{os.cpu_count() or 1}", "W=1",
               f"KCFLAGS={flags}", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]  # fmt: skip
    with cache.locked(BUILD / "kmod" / f"{label}.lock"):
        made_of = _mirror(source, folder) + "".join(map(str, words)) + str(kernel.folder)
        done = folder / _DONE
        if done.exists() and done.read_text() == made_of:
            return result
        if done.exists() and made_of.splitlines()[-1] != done.read_text().splitlines()[-1]:
            command.run(["make", "-C", kernel.tree, f"M={folder}", "clean"])
        done.unlink(missing_ok=True)
        printed = command.run(words)
        if complaints := _WORDS.findall(printed):
            said = "\n".join(complaints)
            raise VmError(f"the module does not build cleanly for {label}:\n{said}")
        shutil.copy(folder / "lwc.ko", folder / "lwc.ko.new")
        (folder / "lwc.ko.new").replace(result)  # whoever reads it now reads the old one to its end
        done.write_text(made_of)
    return result


def _mirror(source: Path, folder: Path) -> str:
    """Make the source files in *folder* what they are in *source*; return a line for each.

    A file that is the same already stays untouched, so that make sees no change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Not what a build in the source tree has left there.
    names = [
        path.relative_to(source)
        for path in sorted(source.rglob("*"))
        if path.suffix in (".c", ".h") or path.name in ("Kbuild", "Makefile")
        if not path.name.endswith(".mod.c")
    ]
    lines = []
    for name in names:
        data = (source / name).read_bytes()
        lines.append(f"{name} {hashlib.sha256(data).hexdigest()}\n")
        copy = folder / name
        if not copy.exists() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
    kept = set(names)
    for path in folder.rglob("*.[ch]"):
        name = path.relative_to(folder)
        if name not in kept and not name.name.endswith(".mod.c"):
            path.unlink()
    return "".join(lines)


def suite(source: Path = SUITE) -> Path:
    """Build the C tests into one static program and return its path.

    Raises:
        VmError: there is none, or the compiler had something to say.
    """
    if not any(source.glob("*.c")):
        raise VmError(f"no tests to build: {source} has no C files")
    folder = BUILD / "vm" / "suite"
    with cache.locked(BUILD / "vm" / "suite.lock"):
        command.run(["make", "-s", "-C", source, f"-j{os.cpu_count() or 1}",
                    f"BUILD={folder}", f"UAPI={SOURCE / 'uapi'}"])  # fmt: skip
    return folder / "lwc-suite"


def main() -> None:
    """`make kmod`: the module for every kernel, and one line that tells the result."""
    sizes = []
    for name in kernels.PACKAGES:
        kernel = kernels.get(name)
        sizes.append(f"{name} ({kernel.version}) {module(kernel).stat().st_size // 1024} KiB")
    sys.stdout.write(f"kmod: built for {len(sizes)} kernels: {', '.join(sizes)}\n")


if __name__ == "__main__":
    try:
        main()
    except VmError as error:
        sys.exit(f"kmod: {error}")
