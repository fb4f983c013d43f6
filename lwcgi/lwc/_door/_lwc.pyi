# SPDX-License-Identifier: MIT
"""The compiled extension; typed only here and in `lwcgi.lwc._door`."""

from typing import Any

ffi: Any
lib: Any
