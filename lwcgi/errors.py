# SPDX-License-Identifier: MIT
"""What can go wrong, as types: each says the cause, the remedy and the exit code.

The exit codes are part of the command line's contract (``lwcgi run --help``).
"""

from __future__ import annotations


class LwcgiError(Exception):
    """Base of everything lwcgi reports to its user.

    Parameters:
        cause: what is wrong, one sentence without a full stop.
        remedy: what to do about it; empty when there is nothing to advise.
        traceback: the application's own traceback where it is the cause; empty otherwise.
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "", traceback: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.traceback = traceback


class ConfigError(LwcgiError):
    """An option, an environment variable or a configuration file is wrong."""

    exit_code = 2


class ApplicationError(LwcgiError):
    """The application cannot be found, imported, called or started."""

    exit_code = 3


class BindError(LwcgiError):
    """A listening address cannot be used."""

    exit_code = 4


class GateError(LwcgiError):
    """The loaded application holds something that cannot be frozen."""

    exit_code = 5


class EngineError(LwcgiError):
    """This machine or this Python cannot run the engine that was asked for."""

    exit_code = 6


BY_EXIT_CODE: dict[int, type[LwcgiError]] = {
    kind.exit_code: kind
    for kind in (LwcgiError, ConfigError, ApplicationError, BindError, GateError, EngineError)
}
"""The error of each documented exit code; it is how an error crosses a process boundary."""


class ClientGone(OSError):
    """Nobody takes the answer or sends the rest of the request any more."""


class BodyTooLarge(OSError):
    """A request's body has more bytes than ``--max-body`` allows."""


class BodyTruncated(OSError):
    """A request's body is not as long as its CONTENT_LENGTH said."""
