# SPDX-License-Identifier: MIT
"""flup's preforking FastCGI server with one worker."""

import sys

from flup.server.fcgi_fork import WSGIServer
from werkzeug.utils import import_string


class Stoppable(WSGIServer):
    """flup notes a signal and waits on: since Python 3.5 (PEP 475) nothing interrupts its select."""

    def _intHandler(self, *_):  # noqa: N802 - flup's name
        raise SystemExit(0)


def main():
    """Serve the application ``module:callable`` on a Unix socket: the two arguments."""
    application, address = sys.argv[1:]
    one = {"minSpare": 1, "maxSpare": 1, "maxChildren": 1}
    Stoppable(import_string(application), bindAddress=address, **one).run()


if __name__ == "__main__":
    main()
