# SPDX-License-Identifier: MIT
"""What an application wants done around its snapshot: three decorators, and who runs them.

Registrations with AWS's ``snapshot_restore_py`` (PyPI, version 1.0.0) count as well, where the
application has imported it.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .errors import ApplicationError

Hook = Callable[[], object]
_Decorated = TypeVar("_Decorated", bound=Hook)

_before_snapshot: list[Hook] = []
_after_restore: list[Hook] = []
_after_response: list[Hook] = []


def before_snapshot(function: _Decorated) -> _Decorated:
    """Have *function* called once, after warm-up and before the application is frozen.

    The place to close what must not be shared: connections, threads, event loops. The last
    one registered is called first.

    Raises:
        TypeError: it cannot be called, or is a coroutine function.
    """
    return _register(_before_snapshot, function)


def after_restore(function: _Decorated) -> _Decorated:
    """Have *function* called at the start of every request, in the order of registration.

    The place to make again what a request needs of its own. Under ``--engine none`` it is
    called when a serving process starts. An exception makes the request a 500.

    Raises:
        TypeError: it cannot be called, or is a coroutine function.
    """
    return _register(_after_restore, function)


def after_response(function: _Decorated) -> _Decorated:
    """Have *function* called after every answer, in the order of registration.

    The place to send logs and telemetry. What it does must end within
    ``--after-response-timeout``; the client does not wait for it.

    Raises:
        TypeError: it cannot be called, or is a coroutine function.
    """
    return _register(_after_response, function)


def run_before_snapshot() -> None:
    """Call the before_snapshot hooks, the last registered first.

    Raises:
        ApplicationError: one of them failed; its traceback is with the error.
    """
    # As if all of AWS's had been registered after all of ours, here and after a restore.
    for function, args, kwargs in reversed(list(_of_aws("before_snapshot"))):
        _call_before_snapshot(function, args, kwargs)
    for hook in reversed(_before_snapshot):
        _call_before_snapshot(hook, (), {})


def run_after_restore() -> None:
    """Call the after_restore hooks in order; what one raises is passed on."""
    for hook in _after_restore:
        hook()
    for function, args, kwargs in _of_aws("after_restore"):
        function(*args, **kwargs)


def run_after_response() -> None:
    """Call the after_response hooks in order, all of them.

    Raises:
        BaseExceptionGroup: what hooks raised, if any did.
    """
    failures = []
    for hook in _after_response:
        try:
            hook()
        except BaseException as error:  # noqa: BLE001 - the others must run all the same
            failures.append(error)
    if failures:
        raise BaseExceptionGroup("after_response hooks failed", failures)


def _register(hooks: list[Hook], function: _Decorated) -> _Decorated:
    if not callable(function):
        raise TypeError(f"a hook must be callable, {type(function).__name__} is not")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"hook {_name(function)} is a coroutine function, which nobody would await")
    hooks.append(function)
    return function


def _of_aws(moment: str) -> Iterator[tuple[Callable[..., object], Any, Any]]:
    module = sys.modules.get("snapshot_restore_py")
    if module is not None:
        yield from getattr(module, f"get_{moment}")()


def _call_before_snapshot(function: Callable[..., object], args: Any, kwargs: Any) -> None:
    try:
        function(*args, **kwargs)
    except BaseException as error:
        shown = traceback.format_exception(error.with_traceback(_below(error)))
        raise ApplicationError(
            f"the before_snapshot hook {_name(function)} failed: "
            + traceback.format_exception_only(error)[-1].strip(),
            "correct the hook; its traceback is above",
            "".join(shown),
        ) from error


def _below(error: BaseException) -> Any:
    """Return the error's traceback from the application's first line on."""
    own = error.__traceback__
    return own.tb_next if own and own.tb_next else own


def _name(function: Callable[..., object]) -> str:
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{getattr(function, '__module__', '')}.{name}".lstrip(".")
