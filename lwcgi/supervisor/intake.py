# SPDX-License-Identifier: MIT
"""What comes in from below and goes to the log: events of ours, output of the application."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence

from . import wire
from .accesslog import AccessLog
from .logfile import LogFile
from .logs import Lines, Log

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
# Bounds on what is taken in one go, so that a flood does not keep the master from its signals.
_DATAGRAMS, _BYTES, _LAST_BYTES = 64, 64 << 10, 4 << 20


class Intake:
    """The receiving ends, and the sending ends that every snapshot process inherits.

    Parameters:
        log: where everything goes.
        inherited: the `descriptors` of the same, in the program that ran in this process before.
    """

    def __init__(self, log: Log, inherited: Sequence[int] = ()) -> None:
        self._log = log
        self._lines = Lines()
        self.speaker = 0
        """Pid that output is attributed to: the present snapshot process."""
        self.on_crash: Callable[[], None] = lambda: None
        """Called when a log line says that a signal killed a request's process."""
        self.on_new_events: Callable[[int, Callable[[], object]], None] = lambda _, __: None
        """Called when one of `sources` has become another file of the same number."""
        self._pipe: list[int] = []  # of the access log, inherited
        if inherited:
            events, events_in, self._output, self._output_in, *self._pipe = inherited
            self._events, self._events_in = (
                socket.socket(fileno=events),
                socket.socket(fileno=events_in),
            )
        else:
            self._events, self._events_in = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._output, self._output_in = os.pipe()
        _prepare(self._events)
        os.set_blocking(self._output, False)
        self._access_log: AccessLog | None = None

    @property
    def events(self) -> int:
        """Descriptor for log lines (wire.pack_line)."""
        return self._events_in.fileno()

    @property
    def output(self) -> int:
        """Descriptor for what the application prints."""
        return self._output_in

    @property
    def access_log(self) -> int:
        """Descriptor for lines of the access log; -1 for none."""
        return self._access_log.writing if self._access_log else -1

    @property
    def due(self) -> float | None:
        """When `tick` wants to be called (time.monotonic()); None for never."""
        return self._access_log.due if self._access_log else None

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._access_log:
            self._access_log.tick(now)

    def descriptors(self) -> list[int]:
        """Return what the next program in this process needs to take in the same."""
        pipe = self._access_log.pipe if self._access_log else ()
        return [self._events.fileno(), self.events, self._output, self._output_in, *pipe]

    def open_access_log(self, path: str | None) -> None:
        """Open the access log: a file's *path*, ``-`` for standard output, None for none.

        Raises:
            ConfigError: the file cannot be opened.
        """
        if self._pipe and path is None:
            path = os.devnull  # workers that still run have lines to get rid of
        if path is not None:
            file = LogFile.open(path, 1, "access log")
            self._access_log = AccessLog(file, self._log, self._pipe)

    def reopen_logs(self) -> None:
        """Open both logs anew, after their files were renamed. One that cannot be stays open."""
        for what, log in (("access log", self._access_log), ("error log", self._log)):
            try:
                if log:
                    log.reopen()
            except OSError as error:
                self._log.write("error", f"the {what} cannot be opened anew: {error}")
        self._log.write("info", "log files are opened anew")

    def let_others_write(self) -> None:
        """Let processes of another user open the output anew (/dev/stderr, each request's own).

        Not for reading: what a request writes there is not for the others to see.
        """
        os.fchown(self._output_in, os.geteuid(), os.getegid())
        os.fchmod(self._output_in, 0o222)

    def sources(self) -> list[tuple[int, Callable[[], object]]]:
        """Return each descriptor to watch, and what to call when it is readable."""
        found: list[tuple[int, Callable[[], object]]] = [
            (self._events.fileno(), self._take_events),
            (self._output, self._take_output),
        ]
        if self._access_log:
            found.append((self._access_log.fileno(), self._access_log.take))
        return found

    def drain(self) -> None:
        """Take in what the dead have left, an unfinished last line included."""
        self._take_events()
        for _ in range(_LAST_BYTES // _BYTES):
            if not self._take_output():
                break
        for line in self._lines.flush():
            self._log.application(line, self.speaker)
        if self._access_log:
            self._access_log.drain()

    def close(self) -> None:
        """Close every descriptor."""
        self._events.close()
        self._events_in.close()
        os.close(self._output)
        os.close(self._output_in)
        if self._access_log:
            self._access_log.close()

    def _take_events(self) -> None:
        for _ in range(_DATAGRAMS):
            try:
                # Room for the credentials alone: descriptors sent along do not arrive.
                datagram, extras, _, _ = self._events.recvmsg(
                    wire.LARGEST_LINE, socket.CMSG_LEN(_CREDENTIALS.size)
                )
            except OSError:
                return
            if not datagram:
                # Every message has credentials, an empty one too.
                if not extras:
                    self._replace_events()
                return
            if wire.tells_crash(datagram):
                self.on_crash()
            line = wire.unpack_line(datagram)
            pid = _CREDENTIALS.unpack(extras[0][2])[0] if extras else 0
            self._log.write(line.level, line.text, pid, line.application)

    def _replace_events(self) -> None:
        """Have another socket for log lines: somebody who has inherited it has shut it down."""
        for ours, new in zip(
            (self._events, self._events_in),
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET),
            strict=True,
        ):
            with new:
                os.dup2(new.fileno(), ours.fileno(), inheritable=False)
        _prepare(self._events)
        self.on_new_events(self._events.fileno(), self._take_events)
        self._log.write(
            "error",
            "the application has shut down the socket for log lines; "
            "what its workers have to say is lost until it is loaded again (SIGHUP)",
        )

    def _take_output(self) -> bool:
        """Log the next lines of output; return whether there was anything."""
        try:
            data = os.read(self._output, _BYTES)
        except BlockingIOError:
            return False
        for line in self._lines.feed(data):
            self._log.application(line, self.speaker)
        return bool(data)


def _prepare(events: socket.socket) -> None:
    events.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    events.setblocking(False)
