# SPDX-License-Identifier: MIT
"""The last moment before another program is executed in this process."""

from __future__ import annotations

import os
import signal

import pytest

from lwcgi.supervisor.handover import Handover
from lwcgi.supervisor.reexec import Reexec
from lwcgi.supervisor.signals import WATCHED, Signals


def test_signals_come_first() -> None:
    """A signal whose handler has run, and that nobody has dealt with, is not left behind."""

    def state() -> Handover:
        raise AssertionError("it is about to be executed")

    reexec = Reexec(state, lambda level, text: None)
    reexec.passed = True
    with Signals() as signals:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        os.kill(os.getpid(), signal.SIGTERM)
        reexec.execute(signals)
        assert signals.arrived() == [signal.SIGTERM]
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        assert not before & set(WATCHED)
        assert reexec.passed
        with pytest.raises(AssertionError, match="about to be executed"):
            reexec.execute(signals)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
