# SPDX-License-Identifier: MIT
"""The first file system of a guest: busybox, the module, the tests and a script that runs them.

What the host reads goes over the second serial line, one ``LWCVM`` line per event; the first
is the kernel's console, whose messages would break into other lines.
"""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INIT = Path(__file__).with_name("init.sh")
_FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "etc", "modules", "root", "mnt")


def write(
    path: Path,
    script: str,
    module: Path | None = None,
    parameters: str = "",
    modules: Sequence[Path] = (),
    files: Mapping[str, Path | bytes] | None = None,
) -> None:
    """Write an archive for the kernel to unpack (initramfs, Documentation/driver-api/early-userspace).

    Parameters:
        path: of the archive.
        script: what to run once the module is loaded, by busybox's sh; what it prints is for
            the host, and so is its exit status.
        module: lwc.ko; without one nothing is loaded.
        parameters: of the module.
        modules: other modules to load before it, in this order.
        files: more executable files, by the name they get in the root directory.
    """
    contents: dict[str, Path | bytes] = {
        "init": _INIT,
        "bin/busybox": _busybox(),
        "script": script.encode(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
        **(files or {}),
    }
    for number, other in enumerate(modules):
        contents[f"modules/{number:02}-{other.name}"] = other
    if module:
        contents["lwc.ko"] = module
        contents["lwc.parameters"] = parameters.encode()

    with open(path, "wb") as archive:
        archive.writelines(_member(name, stat.S_IFDIR | 0o755, b"") for name in _FOLDERS)
        archive.write(_member("bin/sh", stat.S_IFLNK | 0o777, b"busybox"))
        # The kernel opens it for /init, before /init can mount anything.
        archive.write(_member("dev/console", stat.S_IFCHR | 0o600, b"", device=(5, 1)))
        for name, content in contents.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            archive.write(_member(name, stat.S_IFREG | 0o755, data))
        archive.write(_member("TRAILER!!!", 0, b""))


def _member(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    """Return a file in cpio's "newc" format (buffer-format.rst in the folder named above)."""
    encoded = name.encode() + b"\0"
    inode, owner, group, links, time = 0, 0, 0, 1, 0
    numbers = (inode, mode, owner, group, links, time, len(data), 0, 0, *device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise VmError("busybox is not installed: apt-get install busybox-static")
    if b"/lib64/ld-linux" in Path(found).read_bytes()[:4096]:
        raise VmError("busybox needs libraries: apt-get install busybox-static")
    return Path(found)
