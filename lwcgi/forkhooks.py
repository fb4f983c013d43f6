# SPDX-License-Identifier: MIT
"""The fork hooks of the application, for an engine whose contexts are not forked.

CPython runs hooks around ``os.fork()``, and a context of `rewind` is not made by one. Those that
the application and its libraries register still mean "this is another process from here on",
which is true, so they are remembered while the application is loaded. As under `fork`, the
frozen point then lies in the middle of a fork: hooks that run before one have run, and each
context runs those of a child.

Those that the standard library registers for itself (3.11 to 3.13) are left out. The worker was
made by a real fork, in which they ran, and has no other thread since:

- ``threading`` forgets the other threads, and ``asyncio`` (3.12) the running loop;
- ``logging`` and ``concurrent.futures.thread`` hold their locks across the fork, and make them
  anew in the child. Nobody holds them at the frozen point;
- ``random`` reseeds its generator. `renew` does, and faster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from . import _core

Hook = Callable[[], object]

_before: list[Hook] = []
_in_child: list[Hook] = []


def record() -> None:
    """From here on remember what others than the standard library register."""
    register = os.register_at_fork

    def register_at_fork(**when: Any) -> None:
        register(**when)  # which checks them
        if _is_of_the_library(sys._getframe(1).f_globals.get("__name__")):
            return
        for name, hooks in (("before", _before), ("after_in_child", _in_child)):
            if name in when:
                hooks.append(when[name])

    register_at_fork.__doc__ = register.__doc__
    for name in ("os", "posix"):  # where others may look for it
        sys.modules[name].register_at_fork = register_at_fork  # type: ignore[attr-defined] # any module


def run_before() -> None:
    """Call the hooks that run before a fork, the last registered first; to be called once."""
    for hook in reversed(_before):
        _core.call_hook(hook)


def run() -> None:
    """Call the hooks that run in the child of a fork, in the order of registration."""
    for hook in _in_child:
        _core.call_hook(hook)


def _is_of_the_library(module: Any) -> bool:
    """Return whether a module of this name is of the standard library.

    The one that registers tells more than the hook: a bound method of a lock, or a partial, is
    the library's wherever it comes from.
    """
    return isinstance(module, str) and module.partition(".")[0] in sys.stdlib_module_names
