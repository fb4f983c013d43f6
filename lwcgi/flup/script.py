# SPDX-License-Identifier: MIT
"""The script that calls `run`: how it was started, and how it is executed again."""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass
from types import CodeType, ModuleType
from typing import NoReturn

from ..errors import ApplicationError, LwcgiError

VARIABLE = "_LWCGI_FLUP_SCRIPT"
"""Tells the snapshot process which script to execute, and how."""

# As it was when the script imported this, before it changed either.
_ARGV = list(sys.argv)
_DIRECTORY = os.getcwd()


@dataclass(frozen=True, kw_only=True)
class Script:
    """A program of Python's.

    Parameters:
        argv: its sys.argv.
        directory: the working directory it was started in.
        file: absolute path of its source; empty for a module.
        module: the module's name, for ``python -m``; empty for a file.
    """

    argv: list[str]
    directory: str
    file: str = ""
    module: str = ""

    @classmethod
    def running(cls) -> Script:
        """Return the program that this process executes.

        Raises:
            RuntimeError: it does not come from a file (``python -c``, an interactive session).
        """
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        if spec is not None:
            return cls(argv=_ARGV, directory=_DIRECTORY, module=spec.name)
        file = getattr(main, "__file__", None)
        if file is None:
            raise RuntimeError("WSGIServer.run() must be called from a script that is a file")
        return cls(argv=_ARGV, directory=_DIRECTORY, file=os.path.join(_DIRECTORY, file))

    def to_json(self) -> str:
        """Return it as text; `from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Script:
        """Return what `to_json` wrote."""
        return cls(**json.loads(text))

    def execute(self) -> None:
        """Execute it as ``__main__`` of this process.

        Raises: whatever it raises; OSError, ImportError, SyntaxError where it cannot be read.
        """
        sys.argv = list(self.argv)
        main = ModuleType("__main__")
        code = self._module(main) if self.module else self._file(main)
        _OURS.append(sys.modules["__main__"])
        sys.modules["__main__"] = main
        exec(code, main.__dict__)

    def _file(self, main: ModuleType) -> CodeType:
        # The loader has put the working directory there, which is for modules.
        sys.path[0] = os.path.dirname(os.path.realpath(self.file))
        main.__file__ = self.file
        with open(self.file, "rb") as source:
            return compile(source.read(), self.file, "exec", dont_inherit=True)

    def _module(self, main: ModuleType) -> CodeType:
        spec = importlib.util.find_spec(self.module)
        code: CodeType | None = None
        if spec is not None and isinstance(spec.loader, importlib.abc.InspectLoader):
            code = spec.loader.get_code(spec.name)
        if spec is None or code is None:
            raise ImportError(f"there is no source of the module {self.module}")
        main.__spec__, main.__package__ = spec, spec.parent
        main.__file__, main.__loader__ = spec.origin, spec.loader
        return code


_OURS: list[ModuleType] = []
"""Keeps the snapshot process's own ``__main__`` alive."""


def application() -> NoReturn:
    """Execute the script, in the snapshot process; its `WSGIServer.run` takes over.

    Raises:
        ApplicationError: it did not come to that.
    """
    script = Script.from_json(os.environ.pop(VARIABLE))
    name = script.file or script.module
    try:
        script.execute()
    except LwcgiError:
        raise
    except SystemExit as error:
        raise _ended_early(f"{name} ended ({error!r})") from error
    except BaseException as error:
        summary = traceback.format_exception_only(error)[-1].strip()
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next
        raise ApplicationError(
            f"executing {name} failed: {summary}",
            "correct the script; its traceback is above",
            "".join(traceback.format_exception(type(error), error, own)),
        ) from error
    raise _ended_early(f"{name} came to its end")


def _ended_early(what: str) -> ApplicationError:
    return ApplicationError(
        f"{what} before it called WSGIServer.run(), when it was executed to be frozen",
        "what stands before that call is executed twice: leave becoming a daemon, and refusing "
        "to run twice, to the service manager",
    )
