# SPDX-License-Identifier: MIT
"""The file-like objects of a WSGI environ: wsgi.input, wsgi.errors and wsgi.file_wrapper."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from .transport import Transport

_INPUT_BUFFER = 65536
_FILE_BLOCK = 65536
_LONGEST_LINE = 65536


class _Body(io.RawIOBase):
    """A request's body, unbuffered."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._transport.readinto(buffer)


def body(transport: Transport) -> io.BufferedIOBase:
    """Return the wsgi.input of a request; it ends where the body does, whatever is asked for.

    Reading it raises what `Transport.readinto` raises.
    """
    if transport.has_body:
        return io.BufferedReader(_Body(transport), _INPUT_BUFFER)
    return io.BytesIO()


class Errors(io.TextIOBase):
    """The wsgi.errors of a request: each line becomes one of the server's log.

    Parameters:
        transport: takes the lines.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._rest = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Take *text*; a line without its end waits for the rest, or for `flush`."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        *lines, rest = (self._rest + text).split("\n")
        # What never ends its line must not pile up.
        self._rest = "" if len(rest) > _LONGEST_LINE else rest
        for line in lines if self._rest is rest else [*lines, rest]:
            self._transport.log("error", line)
        return len(text)

    def flush(self) -> None:
        """Log the line that has not ended yet."""
        rest, self._rest = self._rest, ""
        if rest:
            self._transport.log("error", rest)


class FileWrapper:
    """The wsgi.file_wrapper: iterates over a file in blocks.

    Parameters:
        file: has ``read(size)``, and perhaps ``close()``.
        block_size: bytes a block; a smaller suggestion than 64 KiB only costs time.
    """

    def __init__(self, file: Any, block_size: int = _FILE_BLOCK) -> None:
        self._read = file.read
        self._block_size = max(block_size, _FILE_BLOCK)
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self._read(self._block_size)
        if not block:
            raise StopIteration
        return block
