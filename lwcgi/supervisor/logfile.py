# SPDX-License-Identifier: MIT
"""A file that log lines are appended to, and that can be opened anew after a rotation."""

from __future__ import annotations

import os
import select
import stat

from ..errors import ConfigError

STANDARD = "-"
"""The name that stands for standard output or error."""

_MODE = 0o640
# What a pipe that is ready takes without blocking (PIPE_BUF, pipe(7)).
_PIECE = 4096


class LogFile:
    """An open log file.

    Parameters:
        path: where it is; None for a descriptor that somebody else has opened.
        fd: its descriptor.
    """

    def __init__(self, path: str | None, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._never_blocks = stat.S_ISREG(os.fstat(fd).st_mode)

    @classmethod
    def open(cls, path: str, standard: int, what: str) -> LogFile:
        """Open the file *path*, or take *standard* for it where it is STANDARD.

        Parameters:
            path: a file's; it is made where it is missing, with mode 0640.
            standard: the descriptor that STANDARD means.
            what: "access log" or "error log", for the error.

        Raises:
            ConfigError: it cannot be opened.
        """
        try:
            if path == STANDARD:
                return cls(None, standard)
            return cls(os.path.abspath(path), _opened(path))
        except OSError as error:
            raise ConfigError(
                f"cannot open the {what} {path}: {error.strerror}",
                f"check --{what.replace(' ', '-')}, and who may write there",
            ) from error

    @property
    def is_named(self) -> bool:
        """True for a file with a path, which can be opened anew."""
        return self._path is not None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def write(self, data: bytes) -> None:
        """Write all of *data*; waits where the reader of a pipe does.

        Raises:
            OSError: it cannot be written, for example because the disk is full.
        """
        while data:
            data = data[os.write(self._fd, data) :]

    def write_some(self, data: bytes) -> int:
        """Write what can be written at once; return how many bytes that were.

        Raises:
            OSError: it cannot be written.
        """
        if self._never_blocks:
            return os.write(self._fd, data)
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return os.write(self._fd, data[:_PIECE]) if poll.poll(0) else 0

    def reopen(self) -> None:
        """Open the file of this path anew, which may be another one now.

        Raises:
            OSError: it cannot be opened; lines go where they went before.
        """
        if self._path is not None:
            fresh = _opened(self._path)
            os.close(self._fd)
            self._fd = fresh
            self._never_blocks = stat.S_ISREG(os.fstat(fresh).st_mode)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._path is not None:
            os.close(self._fd)


def _opened(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY
    return os.open(path, flags, _MODE)
