# SPDX-License-Identifier: MIT
"""The acts application, with a handler of its own for the signal of refused system calls."""

import signal

from tests.apps.acts import app

__all__ = ["app"]

signal.signal(signal.SIGSYS, lambda _number, _frame: None)
