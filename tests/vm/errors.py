# SPDX-License-Identifier: MIT
"""What can go wrong before a test can say anything."""

from __future__ import annotations


class VmError(Exception):
    """The run could not be prepared or carried out; the text tells the cause and the remedy."""
