# SPDX-License-Identifier: MIT
"""The kernels the module is built for and booted in, by the names of Debian's packages.

A package name stands for a series, never for one release of it: which release that is today,
apt tells. Each is downloaded once per release and kept in the cache.
"""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm import cache, command, debian
from tests.vm.errors import VmError

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "6.1-cloud": "linux-image-cloud-amd64",
    "6.1": "linux-image-amd64",
    "6.12-cloud": "linux-image-6.12-cloud-amd64",
    "6.12": "linux-image-6.12-amd64",
}
"""Our name of each kernel, and the package that always depends on its newest image.

The cloud flavour is smaller and boots faster; only the other one can mount the host's files (9p).
"""

_WANTED = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "overlay")
"""Modules a guest may load; a flavour has the ones it can use."""


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be built for and to be booted.

    Parameters:
        name: ours.
        version: of the package.
        folder: its entry of the cache.
    """

    name: str
    version: str
    folder: Path

    @property
    def image(self) -> Path:
        """What QEMU boots."""
        return self.folder / "vmlinuz"

    @property
    def tree(self) -> Path:
        """What modules are built against."""
        return self.folder / "build"

    @property
    def is_debug(self) -> bool:
        """Whether it is slow, and finds more."""
        return self.name.startswith("debug-")

    def modules(self, *names: str) -> list[Path]:
        """Return the files of some of its own modules in the order to load them in.

        What a module depends on comes before it. A name without a file is built in.
        """
        ordered: list[Path] = []

        def add(name: str) -> None:
            path = self.folder / "modules" / f"{name}.ko"
            if path.exists() and path not in ordered:
                for other in _dependencies(path):
                    add(other)
                ordered.append(path)

        for name in names:
            add(name)
        return ordered


def _dependencies(module: Path) -> list[str]:
    """Return what a module's own text says it depends on (.modinfo)."""
    found = re.search(rb"\0depends=([\w,-]*)\0", module.read_bytes())
    names = found[1].decode().split(",") if found else []
    return [name.replace("-", "_") for name in names if name]


def get(name: str) -> Kernel:
    """Return a kernel by our name, downloaded or built where the cache has not got it.

    Raises:
        VmError: no such name; or it is neither in the cache nor to be had.
    """
    if name.startswith("debug-"):
        from tests.vm import debug_kernel

        return debug_kernel.get(name)
    if name not in PACKAGES:
        raise VmError(f"no kernel {name}: there are {', '.join(PACKAGES)}, debug-6.1, debug-6.12")
    try:
        return _current(name)
    except debian.Unavailable as error:
        folder = cache.newest(name)
        if folder is None:
            raise VmError(
                f"kernel {name} is not in {cache.root()}, and its packages cannot be had: {error}"
            ) from error
        return Kernel(name, folder.name, folder)


def _current(name: str) -> Kernel:
    """Return the newest release of a kernel; where the lists of packages are old, fetch them."""
    try:
        return _release(name)
    except debian.Unavailable:
        debian.refresh()
        return _release(name)


def _release(name: str) -> Kernel:
    found = debian.fields(PACKAGES[name])
    series = name.removesuffix("-cloud")
    version = found["Version"]
    if not version.startswith(f"{series}."):
        raise debian.Unavailable(
            f"{PACKAGES[name]} is {version} here and not {series}: use Debian 12 (bookworm)"
        )
    image = debian.depends(PACKAGES[name], r"linux-image-\d.*")

    def fill(folder: Path, final: Path) -> None:
        _fill(image, folder, final)

    return Kernel(name, version, cache.entry(name, version, fill))


def _fill(image: str, folder: Path, final: Path) -> None:
    """Lay out an entry: ``vmlinuz``, ``modules/*.ko`` and ``build``, the tree for modules."""
    release = image.removeprefix("linux-image-")
    headers = f"linux-headers-{release}"
    common = debian.depends(headers, r"linux-headers-.*-common")
    kbuild = debian.depends(headers, r"linux-kbuild-.*")
    debs = debian.download([image, headers, common, kbuild], folder)
    members = [f"./boot/vmlinuz-{release}", *(f"*/{name}.ko*" for name in _all_modules(debs[0]))]
    debian.unpack(debs[0], folder / "image", *members)
    for deb in debs[1:]:
        debian.unpack(deb, folder)
    (folder / "image" / "boot" / f"vmlinuz-{release}").rename(folder / "vmlinuz")
    (folder / "modules").mkdir()
    for path in (folder / "image").rglob("*.ko*"):
        _put_module(path, folder / "modules")
    command.run(["rm", "-rf", folder / "image", *debs])

    source = f"usr/src/{headers}"
    (folder / "build").symlink_to(source)
    makefile = folder / source / "Makefile"
    text = makefile.read_text()
    # It includes the common headers' Makefile by the path of an installed package.
    makefile.write_text(text.replace("/usr/src/", f"{final}/usr/src/"))


def _put_module(path: Path, folder: Path) -> None:
    """Store a module under its name in the kernel, decompressed: busybox cannot."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    name = path.name.partition(".")[0].replace("-", "_")
    (folder / f"{name}.ko").write_bytes(data)


def _all_modules(deb: Path) -> list[str]:
    """Return the file names, without suffix, of the wanted modules and of what they depend on."""
    listing = command.run(["dpkg-deb", "--contents", deb])
    files = {
        name.replace("-", "_"): name
        for name in re.findall(r"/([\w-]+)\.ko(?:\.xz)?$", listing, re.MULTILINE)
    }
    # What they may depend on, in one of the series or the other.
    near = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev")
    network = ("9pnet", "netfs", "fscache")
    return [files[name] for name in (*_WANTED, *near, *network) if name in files]
