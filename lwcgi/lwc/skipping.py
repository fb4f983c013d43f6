# SPDX-License-Identifier: MIT
"""Skips the body of a ``with`` statement, which the language has no word for.

`lwc.attempt` comes back twice from its ``__enter__``: once to run the body, in a copy, and once
when that is over, here. The interpreter would then run the body here too. So a trace function
binds the name behind ``as`` itself and raises an exception in place of that, and ``__exit__``
takes it back. What goes wrong there is given to ``__exit__`` by the definition of the statement,
whatever the body begins with.

Tracing is the one way that CPython 3.11, 3.12 and 3.13 have in common: an exception raised by
``__enter__`` itself is not given to ``__exit__``; one set asynchronously is raised at the next
call or jump, when a part of the body has run; ``sys.monitoring`` is not there in 3.11.
"""

from __future__ import annotations

import dis
import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

_BEFORE = dis.opmap.get("BEFORE_WITH")
_PREFIX = dis.opmap["EXTENDED_ARG"]
_FORMS = "write `with lwc.attempt() as name:`, or use attempt().call(function)"


class BodySkipped(BaseException):
    """Raised in place of the body. Nobody but `Skip.ended` sees it."""


class Skip:
    """Skips the body of the ``with`` statement whose ``__enter__`` is being called.

    Parameters:
        frame: of the function with the statement.
        value: what ``__enter__`` returns.

    Raises:
        RuntimeError: it is not called by a ``with`` statement, or by one with another target
            than a name. Nothing has happened then.
    """

    def __init__(self, frame: FrameType, value: object) -> None:
        self._name, self._global = _target(frame.f_code, frame.f_lasti)
        self._frame: FrameType | None = frame
        self._at = frame.f_lasti
        self._value = value
        self._raised: BodySkipped | None = None
        self._before: tuple[Any, Any, bool] = (None, None, False)

    def begin(self) -> None:
        """Have the body skipped; to be called last in ``__enter__``."""
        frame = self._frame
        assert frame is not None
        self._before = (sys.gettrace(), frame.f_trace, frame.f_trace_opcodes)
        # In this order for 3.13. 3.12 looks at the frame that calls settrace().
        frame.f_trace = self._trace
        frame.f_trace_opcodes = True
        own = sys._getframe()
        own.f_trace = self._ignore
        own.f_trace_opcodes = True
        sys.settrace(self._ignore)

    def ended(self, error: BaseException | None) -> bool:
        """Put back who traced before; return whether *error* is ours. First in ``__exit__``."""
        frame, raised = self._frame, self._raised
        assert frame is not None
        self._frame = self._value = self._raised = None  # they hold each other
        tracer, frame.f_trace, frame.f_trace_opcodes = self._before
        sys.settrace(tracer)
        return error is not None and error is raised

    def _trace(self, frame: FrameType, event: str, *_: object) -> Any:
        # The first instruction behind the call of __enter__ is the one that binds the name.
        if event != "opcode" or frame.f_lasti == self._at:
            return self._trace
        if self._name is not None:
            # To a trace function these are the variables of the function, in 3.11 too.
            names = frame.f_globals if self._global else frame.f_locals
            names[self._name] = self._value
        self._raised = BodySkipped()
        raise self._raised

    @staticmethod
    def _ignore(*_: object) -> None:
        """Trace nothing of what is called meanwhile: a finaliser, a signal handler."""


def _target(code: CodeType, at: int) -> tuple[str | None, bool]:
    """Return the name behind ``as``, None without one; and whether it is a global one.

    Parameters:
        code: of the function with the statement.
        at: the instruction that calls ``__enter__``.
    """
    words = code.co_code
    if at < 0 or words[at] != _BEFORE:
        raise RuntimeError(
            f"{_FORMS}: an attempt is entered by a with statement, and by nothing else"
        )
    at += 2
    number = words[at + 1]
    while words[at] == _PREFIX:
        at += 2
        number = number << 8 | words[at + 1]
    store = dis.opname[words[at]]
    if store == "POP_TOP":
        return None, False
    if store in ("STORE_NAME", "STORE_GLOBAL"):
        return code.co_names[number], store == "STORE_GLOBAL"
    if store == "STORE_FAST_LOAD_FAST":  # 3.13, where the body is in the same line
        store, number = "STORE_FAST", number >> 4
    if store in ("STORE_FAST", "STORE_DEREF") and code.co_flags & inspect.CO_OPTIMIZED:
        own = code.co_varnames
        cells = tuple(name for name in code.co_cellvars if name not in own)
        return (own + cells + code.co_freevars)[number], False
    raise RuntimeError(
        f"{_FORMS}: the with statement of an attempt has no `as`, or one with a plain name"
    )
