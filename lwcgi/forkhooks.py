# SPDX-License-Identifier: MIT
"""The fork hooks of the application, for an engine whose contexts are not forked.

A context of `rewind` is not a copy made by ``os.fork()``, so CPython runs no hooks in it. Those
that the application and its libraries registered still mean "this is another process from here
on", which is true, so they are recorded while the application is loaded and run in each context.

Those of the standard library (3.11 to 3.13) are left out: the worker itself was made by a real
fork, in which they ran, and there is no other thread since. What they do: ``random`` reseeds
(`renew` does), ``threading``, ``logging``, ``concurrent.futures.thread`` and ``multiprocessing``
make their locks anew or forget threads that are gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_hooks: list[Callable[[], object]] = []


def record() -> None:
    """From here on remember what is registered to run in the child of a fork."""
    register = os.register_at_fork

    def register_at_fork(**when: Any) -> None:
        register(**when)
        hook = when.get("after_in_child")
        if hook is not None and _is_of_the_application(hook):
            _hooks.append(hook)

    register_at_fork.__doc__ = register.__doc__
    os.register_at_fork = register_at_fork
    posix: Any = sys.modules["posix"]
    posix.register_at_fork = register_at_fork


def run() -> None:
    """Call the recorded hooks, in the order of registration.

    As in a fork, what one raises is reported and the others run all the same.
    """
    for hook in _hooks:
        try:
            hook()
        except BaseException as error:  # noqa: BLE001 - as PyOS_AfterFork_Child does
            sys.unraisablehook(_Report(error, hook))  # type: ignore[arg-type] # see there


class _Report:
    """What ``sys.unraisablehook`` is told (its own type cannot be made from Python)."""

    def __init__(self, error: BaseException, hook: Callable[[], object]) -> None:
        self.exc_type = type(error)
        self.exc_value = error
        self.exc_traceback = error.__traceback__
        self.err_msg = "Exception ignored in fork hook"
        self.object = hook


def _is_of_the_application(hook: Callable[[], object]) -> bool:
    module = getattr(hook, "__module__", None) or getattr(
        getattr(hook, "__self__", None), "__module__", None
    )
    # A builtin method such as lock.release tells no module, and does no harm.
    return not module or module.partition(".")[0] not in sys.stdlib_module_names
