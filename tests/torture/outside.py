# SPDX-License-Identifier: MIT
"""Tests of CPython's that are left out in both ways of running them, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "test_socket": {
        "VSOCK": "in some virtual machines accept(2) waits for ever, whoever calls it",
    },
}
"""By module: part of a test's name, and why."""
