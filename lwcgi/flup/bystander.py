# SPDX-License-Identifier: MIT
"""What is left to do for the process that called `run`: pass signals on, and wait."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

from ..supervisor import processes
from ..supervisor.signals import WATCHED, Signals
from .script import VARIABLE, Script

# To flup SIGHUP means "stop, and say so", SIGUSR1 "replace the children".
_PASSED_ON = {signal.SIGHUP: signal.SIGTERM, signal.SIGUSR1: signal.SIGHUP}


def run(options: Sequence[str], script: Script) -> bool:
    """Run a supervisor until it ends; return whether that was because of SIGHUP.

    Parameters:
        options: of ``lwcgi run``.
        script: what it loads.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-P", "-m", "lwcgi.flup.supervisor", str(os.getpid()), "run"]
    command += ["--factory", *options, "lwcgi.flup.script:application"]
    environment = {**os.environ, VARIABLE: script.to_json()}
    # flup has no limit of its own; on the command line it would outdo the user's.
    environment.setdefault("LWCGI_TIMEOUT", "0")
    hung_up = False
    with Signals() as signals:
        # Held back until the supervisor handles them: it lets them through.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            # A session of its own: what a terminal sends is passed on once, by us.
            process = subprocess.Popen(
                command, cwd=script.directory, env=environment, start_new_session=True
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while process.poll() is None:
            select.select([signals], [], [])
            for number in signals.arrived():
                if number != signal.SIGCHLD:
                    hung_up = hung_up or number == signal.SIGHUP
                    process.send_signal(_PASSED_ON.get(signal.Signals(number), number))
    if process.returncode < 0:
        how = processes.describe(-process.returncode)
        sys.exit(f"lwcgi: error: the supervisor {how}")
    if process.returncode:
        sys.exit(process.returncode)
    return hung_up
