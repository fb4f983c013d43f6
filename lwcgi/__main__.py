# SPDX-License-Identifier: MIT
"""Nothing interesting here: see `lwcgi.cli`."""

from .cli import main

if __name__ == "__main__":
    main()
