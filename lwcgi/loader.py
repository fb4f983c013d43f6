# SPDX-License-Identifier: MIT
"""Finds the application: module, callable, factory; and says what is wrong when it cannot."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from .config import Settings
from .errors import ApplicationError, LwcgiError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_taker: Callable[[WSGIApplication], NoReturn] | None = None


def expect(taker: Callable[[WSGIApplication], NoReturn] | None) -> None:
    """From now on `hand_over` gives the application to *taker*, which never returns.

    None where no application is to be handed over any more.
    """
    global _taker
    _taker = taker


def is_expected() -> bool:
    """Return whether this process loads an application, and `hand_over` may be called."""
    return _taker is not None


def hand_over(application: WSGIApplication) -> NoReturn:
    """Serve *application* from within the code that is being loaded; never returns.

    For a program that would itself begin to serve here. Its frames stay as they are: no
    ``finally`` of it runs, which would undo what the application needs.

    Raises:
        RuntimeError: no application is being loaded.
    """
    if _taker is None:
        raise RuntimeError("no application is being loaded")
    _taker(application)


def load(settings: Settings) -> WSGIApplication:
    """Import the application that *settings* name and return its callable.

    Changes the working directory and ``sys.path`` as the settings say; the working
    directory is searched first, as it is by ``python -m``.

    Raises:
        ApplicationError: it cannot be found, imported or called.
    """
    _enter(settings)
    module_name, _, path = settings.app.partition(":")
    module = _import(module_name)
    found: Any = module
    where = module_name
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _no_attribute(found, where, name) from None
        where = f"{where}.{name}"
    if not callable(found):
        raise ApplicationError(
            f"{settings.app} is not callable, it is of type {type(found).__name__}",
            "name the WSGI application itself, or a factory together with --factory",
        )
    if settings.factory:
        found = _make(found, settings.app)
    _check_signature(found, settings)
    application: WSGIApplication = found
    return application


def _enter(settings: Settings) -> None:
    if settings.chdir is not None:
        try:
            os.chdir(settings.chdir)
        except OSError as error:
            raise ApplicationError(
                f"cannot enter the directory {settings.chdir}: {error.strerror}",
                "check --chdir",
            ) from error
    extra = [os.path.abspath(directory) for directory in settings.pythonpath]
    sys.path[:0] = [os.getcwd(), *extra]
    importlib.invalidate_caches()


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{name}.".startswith(f"{missing}.") and _is_outside(error.__traceback__):
            raise ApplicationError(
                f"there is no module {missing} in {os.getcwd()} or on the Python path",
                "check the spelling, or say where it is with --chdir or --pythonpath",
            ) from None
        raise ApplicationError(
            f"importing {name} failed: there is no module {missing}",
            f"install what the application needs for {sys.executable}, "
            "or say where it is with --pythonpath",
            _shown(error),
        ) from error
    except BaseException as error:  # importing runs the application's code
        raise ApplicationError(
            f"importing {name} failed: {_summary(error)}",
            "correct the application; its traceback is above",
            _shown(error),
        ) from error


def _make(factory: Any, name: str) -> Any:
    try:
        made = factory()
    except LwcgiError:
        raise  # one of our own, which knows better what is wrong
    except BaseException as error:  # the factory is the application's code
        raise ApplicationError(
            f"the factory {name} failed: {_summary(error)}",
            "correct the application; its traceback is above",
            _shown(error),
        ) from error
    if not callable(made):
        raise ApplicationError(
            f"the factory {name} returned {type(made).__name__}, not a WSGI application",
            "return the application from it, or leave --factory out",
        )
    return made


def _no_attribute(found: Any, where: str, name: str) -> ApplicationError:
    close = difflib.get_close_matches(name, dir(found), 1, 0.5)
    candidates = [word for word in ("application", "app", "wsgi") if hasattr(found, word)]
    guess = (close or candidates or [""])[0]
    return ApplicationError(
        f"{where} has no name {name}",
        f"did you mean {where}:{guess}?" if guess else f"check the names that {where} defines",
    )


def _check_signature(application: Any, settings: Settings) -> None:
    """Refuse what cannot be called with two arguments, where Python can tell beforehand."""
    try:
        # The wrapper's own, not that of what it wraps: werkzeug's `Request.application` takes
        # another number of arguments.
        signature = inspect.signature(application, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    if inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(
        getattr(application, "__call__", None)  # noqa: B004 - the method itself is wanted
    ):
        raise ApplicationError(
            f"{settings.app} is asynchronous (ASGI), lwcgi serves WSGI applications",
            "wrap it, for example with a2wsgi.ASGIMiddleware",
        )
    try:
        signature.bind({}, None)
    except TypeError:
        takes_none = not settings.factory and _binds_nothing(signature)
        raise ApplicationError(
            f"{settings.app} cannot be called as a WSGI application: its parameters are {signature}",
            "add --factory if it makes the application"
            if takes_none
            else "a WSGI application takes (environ, start_response), see PEP 3333",
        ) from None


def _binds_nothing(signature: inspect.Signature) -> bool:
    try:
        signature.bind()
    except TypeError:
        return False
    return True


def _own_frames(entry: TracebackType | None) -> TracebackType | None:
    """Return the first entry that is neither this module nor the import system."""
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        if file not in (__file__, importlib.__file__) and not file.startswith("<frozen importlib"):
            return entry
        entry = entry.tb_next
    return None


def _is_outside(entry: TracebackType | None) -> bool:
    """Tell whether no line of the application had run yet."""
    return _own_frames(entry) is None


def _shown(error: BaseException) -> str:
    """Return the traceback as the application's author would see it."""
    entry = _own_frames(error.__traceback__)
    return "".join(traceback.format_exception(type(error), error, entry))


def _summary(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()
