# SPDX-License-Identifier: MIT
"""The supervisor below a script: ``python -m lwcgi.flup.supervisor PARENT run OPTION…``.

A program of its own, so that nothing the script has imported or changed is in it.
"""

from __future__ import annotations

import os
import sys

from ..cli import main as cli
from ..supervisor.handover import VARIABLE
from ..supervisor.launch import die_with_parent


def main() -> None:
    """Be ``lwcgi run``, and end with the script's process."""
    parent = int(sys.argv.pop(1))
    # One that follows another in the same process has it set (prctl(2)); on trial it is no
    # child of the script's.
    if VARIABLE not in os.environ:
        die_with_parent(parent)
    cli()


if __name__ == "__main__":
    main()
