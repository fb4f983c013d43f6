# SPDX-License-Identifier: MIT
"""What bench/soak.py serves: answers that can be checked, and every way to end badly."""

import ctypes
import hashlib
import mmap
import os
import signal
import subprocess
import sys
import threading
import time

visits = 0
kept = []


def application(environ, start_response):
    """``/echo``, ``/large/N``, ``/post``, or one of BAD_ENDS or LEAVING by name."""
    global visits
    visits += 1
    _, kind, *rest = environ["PATH_INFO"].split("/")
    if kind in BAD_ENDS:
        return BAD_ENDS[kind](start_response)
    if kind in LEAVING:
        return LEAVING[kind](start_response)
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


def leak(start_response):
    """Leave memory, mappings, descriptors, a thread and changed attributes behind."""
    kept.append(bytearray(3_000_000))
    kept.append(mmap.mmap(-1, 100_000))
    kept.extend(os.pipe())
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    os.chdir("/")
    os.umask(0)
    return text("leaked", start_response)


def leak_quietly(start_response):
    """Leave memory and descriptors behind, which is undone without a new process."""
    kept.append(bytearray(300_000))
    kept.extend(os.pipe())
    kept.append(os.dup(2))
    os.close(2)
    return text("leaked", start_response)


def fork(start_response):
    """Leave a child that sleeps."""
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)
    return text("forked", start_response)


def run(start_response):
    """Run a program to its end."""
    return text(subprocess.run(["echo", "ran"], stdout=-1).stdout.decode().strip(), start_response)


# They answer, and are worth nothing to a server that goes on with the same process.
LEAVING = {"leak": leak, "leak_quietly": leak_quietly, "fork": fork, "run": run}
LEAVING_SAYS = {"leak": "leaked", "leak_quietly": "leaked", "fork": "forked", "run": "ran"}

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
