# SPDX-License-Identifier: MIT
"""The access log: lines that workers put into a pipe, moved to a file.

One process writes the file, so that opening it anew loses no line and cuts none, and so that
workers need no right to it. The workers make whole lines, each with one write (PIPE_BUF,
pipe(7)); here they are only moved. To be woken for every line would cost more than to write it:
after each look into the pipe the next one waits a little.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Sequence

from .logfile import LogFile
from .logs import Log

# Room for some thousand lines, as much as any user may have (proc_sys_fs(5)).
_ROOM = 1 << 20
_BYTES = 64 << 10
# Between two looks: a full pipe makes workers wait that long.
_PAUSE_SECONDS = 0.02
# What the last lines get, where standard output is a pipe that nobody reads.
_LAST_SECONDS = 1.0


class AccessLog:
    """The pipe, and the file behind it.

    Parameters:
        file: where the lines go.
        log: what goes wrong is told there.
        pipe: its ends, where the program that ran in this process before has made them.
    """

    def __init__(self, file: LogFile, log: Log, pipe: Sequence[int] = ()) -> None:
        self._file = file
        self._log = log
        self._reading, self.writing = pipe or os.pipe()
        """`writing` is the end for the workers."""
        os.set_blocking(self._reading, False)
        os.set_blocking(self.writing, False)
        try:
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, _ROOM)
        except OSError:
            pass  # this user has many pipes: the usual 64 KiB do as well
        self._poll = select.epoll()
        self._poll.register(self._reading, select.EPOLLIN)
        self._held = b""
        self._failing = False
        self.due: float | None = None
        """When `tick` wants to be called (time.monotonic()); None for never."""

    @property
    def pipe(self) -> tuple[int, int]:
        """Its ends, for the next program in this process."""
        return self._reading, self.writing

    def fileno(self) -> int:
        """Return the descriptor that is readable when it is time to `take`."""
        return self._poll.fileno()

    def take(self) -> None:
        """Move the lines that are there, and look again after a pause."""
        self._move_all()
        self._poll.modify(self._reading, 0)
        self.due = time.monotonic() + _PAUSE_SECONDS

    def tick(self, now: float) -> None:
        """End the pause when it is over."""
        if self.due is not None and now >= self.due:
            self.due = None
            self._poll.modify(self._reading, select.EPOLLIN)
            if b"\n" in self._held:  # the file did not take it
                self.take()

    def reopen(self) -> None:
        """Move what is there to the old file, and open the new one.

        Raises:
            OSError: it cannot be opened; lines go where they went before.
        """
        self._move_all()
        self._file.reopen()

    def drain(self) -> None:
        """Move the last lines, when no worker is left to write any."""
        deadline = time.monotonic() + _LAST_SECONDS
        while (self._move() or self._held) and time.monotonic() < deadline:
            if self._held:
                time.sleep(0.01)
        if self._held:
            self._put(len(self._held))

    def close(self) -> None:
        """Close everything."""
        self._poll.close()
        os.close(self._reading)
        os.close(self.writing)
        self._file.close()

    def _move_all(self) -> None:
        """Move as much as fits the pipe: bounded, however much comes in meanwhile."""
        for _ in range(_ROOM // _BYTES):
            if not self._move():
                return

    def _move(self) -> bool:
        """Move up to _BYTES; return whether there may be more, and the file takes it."""
        data = b""
        if len(self._held) < _BYTES:
            try:
                data = os.read(self._reading, _BYTES)
            except BlockingIOError:
                pass
            self._held += data
        # The beginning of a line waits for its end. One that long is none of ours.
        whole = self._held.rfind(b"\n") + 1
        if not whole and len(self._held) >= _BYTES:
            whole = len(self._held)
        return self._put(whole) and bool(data)

    def _put(self, count: int) -> bool:
        """Write the first *count* bytes held; return whether all of them are written."""
        if not count:
            return True
        try:
            while count:
                written = self._file.write_some(self._held[:count])
                if not written:
                    return False
                count -= written
                self._held = self._held[written:]
        except OSError as error:
            if not self._failing:
                what = f"the access log cannot be written, lines are lost: {error.strerror}"
                self._log.write("error", what)
            self._failing = True
            self._held = self._held[count:]
            return True
        self._failing = False
        return True
