# SPDX-License-Identifier: MIT
"""Packages of Debian: asked for by name, downloaded and unpacked, never installed.

Installing an image would make initial RAM disks and touch the boot loader of the machine.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.vm import command
from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Unavailable(VmError):
    """A package is not known or cannot be downloaded now."""


def refresh() -> None:
    """Fetch the lists of packages.

    Raises:
        Unavailable: without a network, or without the right to.
    """
    try:
        command.run(["apt-get", "update", "-qq"])
    except VmError as error:
        raise Unavailable(
            f"the lists of packages cannot be fetched: is there a network, and are you root? {error}"
        ) from None


def fields(package: str) -> dict[str, str]:
    """Return the fields of the version of a package that apt would install.

    Raises:
        Unavailable: it is not in the lists, also after they were fetched.
    """
    for attempt in range(2):
        try:
            text = command.run(["apt-cache", "show", "--no-all-versions", package])
        except VmError:
            text = ""
        found = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", text, re.MULTILINE))
        if "Version" in found:
            return found
        if attempt == 0:
            refresh()
    raise Unavailable(
        f"no package {package}: the kernels come from Debian 12 (bookworm with bookworm-security) "
        "for amd64; check /etc/apt/sources.list"
    )


def depends(package: str, pattern: str) -> str:
    """Return the first package that *package* depends on whose whole name matches.

    Raises:
        Unavailable: there is none.
    """
    for name in re.findall(r"(?:^|[,|] )([^ ,|]+)", fields(package).get("Depends", "")):
        if re.fullmatch(pattern, name):
            return str(name)
    raise Unavailable(f"{package} depends on no package like {pattern}")


def download(packages: Sequence[str], folder: Path) -> list[Path]:
    """Download packages into a folder; return the files, in the order asked for.

    Raises:
        Unavailable: one of them cannot be had.
    """
    try:
        # As root apt would hand over to a user who may not write here, and warn.
        command.run(
            ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages], folder
        )
    except VmError as error:
        raise Unavailable(f"no download: is there a network? {error}") from None
    return [next(folder.glob(f"{package}_*.deb")) for package in packages]


def unpack(deb: Path, folder: Path, *patterns: str) -> None:
    """Unpack a package into a folder: all of it, or the members that match a pattern of tar(1)."""
    folder.mkdir(parents=True, exist_ok=True)
    extract = ["tar", "-x", "-C", str(folder)]
    if patterns:
        extract += ["--wildcards", *patterns]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as data:
        done = subprocess.run(extract, stdin=data.stdout, capture_output=True, text=True)
    if done.returncode or data.returncode:
        raise VmError(f"{deb.name} cannot be unpacked: {done.stderr}; is the disk full?")
