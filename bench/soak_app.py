# SPDX-License-Identifier: MIT
"""What bench/soak.py serves: answers that can be checked, and every way to end badly."""

import ctypes
import hashlib
import os
import signal
import sys
import time

visits = 0


def application(environ, start_response):
    """``/echo``, ``/large/N``, ``/post``, or one of BAD_ENDS by name."""
    global visits
    visits += 1
    _, kind, *rest = environ["PATH_INFO"].split("/")
    if kind in BAD_ENDS:
        return BAD_ENDS[kind](start_response)
    if kind == "large":
        return large(int(rest[0]), start_response)
    if kind == "post":
        digest = hashlib.file_digest(Reader(environ["wsgi.input"]), "sha256").hexdigest()
        return text(digest, start_response)
    return text(f"{environ['QUERY_STRING']} {visits}", start_response)


class Reader:
    """The part of a file that `hashlib.file_digest` asks for."""

    def __init__(self, stream):
        self.stream = stream

    def readable(self):
        """Tell that this is for reading."""
        return True

    def readinto(self, buffer):
        """Fill *buffer* as far as there is something to read; return how far."""
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def text(line, start_response):
    """Answer with one line, whose length the gateway has to find out."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{line}\n".encode()]


def large(size, start_response):
    """Stream *size* bytes of unknown length in pieces."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"x" * min(10_000, size - at) for at in range(0, size, 10_000))


def hang(_):
    """Exceed the time limit."""
    time.sleep(3600)


def leave(_):
    """End the process as if all were well."""
    os._exit(0)


def system_exit(_):
    """Raise what must not end the server."""
    sys.exit(3)


def kill(_):
    """Die of a signal that cannot be caught."""
    os.kill(os.getpid(), signal.SIGKILL)


def abort(_):
    """Die as a failed assertion in C does."""
    os.abort()


def segfault(_):
    """Read where nothing is mapped."""
    ctypes.string_at(8)


def error(_):
    """Raise an ordinary exception."""
    raise RuntimeError("on purpose")


def half(start_response):
    """Promise 100 kB, send some, and die."""
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100000")])
    write(b"x" * 20_000)
    os._exit(1)


BAD_ENDS = {
    "hang": hang,
    "leave": leave,
    "system_exit": system_exit,
    "kill": kill,
    "abort": abort,
    "segfault": segfault,
    "error": error,
    "half": half,
}
