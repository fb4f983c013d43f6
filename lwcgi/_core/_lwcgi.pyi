# SPDX-License-Identifier: MIT
"""The compiled extension; typed only here and in `lwcgi._core`."""

from typing import Any

ffi: Any
lib: Any
