# SPDX-License-Identifier: MIT
"""Trying something, and rolling everything back but a value: ``with lwc.attempt() as trial``.

After the rollback of Litton et al., "Light-Weight Contexts", OSDI 2016, section 4.1, as a
statement of the language.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from .calls import Entered, make, switch
from .errors import AttemptFailed
from .skipping import Skip
from .specs import Flag

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .context import Context

_P = ParamSpec("_P")
_T = TypeVar("_T")

_RETURNED, _RAISED, _FAILED = range(3)


def attempt(*, signals: bool = False) -> Trial:
    """Try something in a copy of the interpreter, and keep nothing of it but a value.

    The body of the ``with`` statement runs in an lwC made for it, which is discarded at its end::

        with lwc.attempt() as trial:
            trial.result = risky()
        print(trial.result)

    Memory, descriptors and credentials are then what they were. ``trial.result`` is handed out by
    `pickle`, and an exception of the body is raised here, with its traceback as a note. What has
    left the interpreter stays: files written, data sent, and what an lwC has in common with its
    creator (working directory, timers; section 1 of ``kmod/uapi/lwc.h``).

    ``return``, ``break`` and ``continue`` only end the body. It should not ``yield`` or
    ``await``: the copy would run on outside. A crash, or ``os._exit()``, ends the process. The
    value is unpickled, so this is no wall against code that is not trusted.

    Parameters:
        signals: have the body take signals, as Ctrl-C. What a handler notes is then rolled back
            with the rest; without it, signals wait for the end of the body.

    Returns:
        A context manager, to be used once; `Trial.call` is the form for a function.

    Raises (all but the first in ``with``):
        RuntimeError: the ``with`` statement has another target than a name, or there is none.
        AttemptFailed: the body's result or exception cannot be pickled, or not come back.
        LwcError: as `create`.
        BaseException: what the body raised, ``SystemExit`` too.

    Warns:
        RuntimeWarning: there are other threads; as `create`.
    """
    return Trial(signals)


class Trial:
    """What `attempt` returns.

    Attributes:
        result: to be assigned in the body; afterwards the same here. Without that, None.
    """

    def __init__(self, signals: bool) -> None:
        self.result: Any = None
        self._trip = _Trip(signals)
        self._skip: Skip | None = None

    def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Try a function, and return what it returns: no ``with``, and no trace function.

        Raises:
            BaseException: what it raised; otherwise as `attempt`.
        """
        if self._trip.leave():
            try:
                value = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised where the value would go
                self._trip.come_back(None, error)
            self._trip.come_back(value, None)
        returned: _T = self._trip.outcome()
        return returned

    def __enter__(self) -> Trial:
        skip = Skip(sys._getframe(1), self)
        if self._trip.leave():
            return self
        self.result = self._trip.outcome()
        self._skip = skip
        skip.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if self._skip is None:
            self._trip.come_back(self.result, error)
        return self._skip.ended(error)


class _Trip:
    """The way into a copy and back, and what is brought along."""

    def __init__(self, signals: bool) -> None:
        self._flags = Flag.MAY_RETURN | (Flag.SHARE_SIGNALS if signals else Flag(0))
        self._file: int | None = None
        self._creator: Context | None = None
        self._brought: tuple[int, ...] = ()

    def leave(self) -> bool:
        """Return True in the copy; and False here, when that one has come back."""
        if self._file is not None:
            raise RuntimeError("one attempt is made once: call attempt() again")
        _flush()  # or both would write what is in the buffers
        self._file = os.memfd_create("lwc-attempt")
        try:
            made = make(self._flags, (), stacklevel=4)
            if isinstance(made, Entered):
                self._creator = made.creator
                return True
            with made.context as copy:
                self._brought = switch(copy).args
        except BaseException:
            os.close(self._file)
            raise
        return False

    def come_back(self, result: object, error: BaseException | None) -> NoReturn:
        """In the copy: end it, and hand out what came of it."""
        try:
            assert self._file is not None
            if error is None:
                _flush()
            data = _packed(result, error)
            with open(self._file, "wb") as file:
                file.write(data)
            words = (len(data), 0)
        except OSError as failure:
            words = (0, failure.errno or 0)
        except BaseException:  # noqa: BLE001 - whatever it is, it must not get out of the copy
            words = (0, 0)
        try:
            assert self._creator is not None
            switch(self._creator, *words, discard=True)
        finally:
            # A copy of the program must not go on as if it were the program.
            traceback.print_exc()
            os.abort()

    def outcome(self) -> Any:
        """Return what was brought along; or raise it."""
        assert self._file is not None
        try:
            if len(self._brought) != 2:
                raise AttemptFailed(
                    "the attempt was left by another switch than its own: do not switch to the "
                    "lwC that began it"
                )
            size, number = self._brought
            if not size:
                why = os.strerror(number) if number else "the interpreter could not write it"
                raise AttemptFailed(
                    f"the outcome of the attempt could not be handed out: {why}; leave its "
                    "descriptors open, and hand out less"
                )
            kind, value, text = _unpacked(self._file, size)
        finally:
            os.close(self._file)
        if kind == _FAILED:
            raise AttemptFailed(text)
        if kind == _RAISED:
            value.add_note(f"In the attempt:\n{text}")
            raise value
        return value


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _packed(result: object, error: BaseException | None) -> bytes:
    if error is None:
        try:
            return pickle.dumps((_RETURNED, result, ""))
        except Exception as failure:  # noqa: BLE001 - a class of the body may do anything when it is pickled
            text = f"the result of the attempt, a {type(result).__name__}, cannot be handed out"
            return pickle.dumps((_FAILED, None, f"{text}: {_summary(failure)}"))
    text = "".join(traceback.format_exception(error))
    try:
        data = pickle.dumps((_RAISED, error, text))
        pickle.loads(data)  # many exceptions can be written and not be read
        return data
    except Exception:  # noqa: BLE001 - a class of the body may do anything when it is pickled
        return pickle.dumps((_FAILED, None, f"the attempt raised {_summary(error)}\n\n{text}"))


def _unpacked(fd: int, size: int) -> tuple[int, Any, str]:
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as data:
        try:
            kind, value, text = pickle.loads(data)
        except Exception as failure:
            raise AttemptFailed(
                f"the outcome of the attempt cannot be read here: {_summary(failure)}"
            ) from failure
    return kind, value, text


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()
