# SPDX-License-Identifier: MIT
"""The guest is what the other tests take it for."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def test_the_device_is_there() -> None:
    """The module has made its device, and by default it is for root only."""
    mode = os.stat("/dev/lwc").st_mode
    assert stat.S_ISCHR(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_it_is_this_checkout(checkout: Path) -> None:
    """Project and interpreter are the host's own files, and can be written without harm."""
    assert Path(__file__).is_relative_to(checkout)
    assert (checkout / "kmod").is_dir()
    assert Path(sys.prefix).is_dir()
    scratch = checkout / "kmod" / "written-in-a-guest"
    scratch.write_text("gone with the guest")
    assert scratch.read_text() == "gone with the guest"
