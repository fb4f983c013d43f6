# SPDX-License-Identifier: MIT
"""What starts a server with its sockets open, as systemd (sd_listen_fds(3)) or spawn-fcgi do.

``python -m tests.harness.activate [--stdin] PATH... -- COMMAND...`` listens on Unix sockets and
becomes COMMAND. With --stdin the one socket is descriptor 0, without a word about it.
"""

from __future__ import annotations

import os
import socket
import sys

FIRST = 3


def main() -> None:
    """Open the sockets and become the command."""
    at = sys.argv.index("--")
    paths, command = sys.argv[1:at], sys.argv[at + 1 :]
    on_stdin = paths[0] == "--stdin"
    listeners = []
    for path in paths[1:] if on_stdin else paths:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(100)
        listeners.append(listener)
    # Out of the way of the numbers that they are to get.
    copies = [os.dup2(listener.fileno(), 100 + n) for n, listener in enumerate(listeners)]
    for number, copy in enumerate(copies):
        os.dup2(copy, 0 if on_stdin else FIRST + number)
        os.close(copy)
    if not on_stdin:
        os.environ["LISTEN_FDS"] = str(len(listeners))
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
