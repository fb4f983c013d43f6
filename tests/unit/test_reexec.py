# SPDX-License-Identifier: MIT
"""The last moment before another program is executed in this process."""

from __future__ import annotations

import json
import os
import signal

import pytest

from lwcgi.supervisor.handover import VARIABLE, Handover
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


@pytest.mark.parametrize("spared", [[], [7, 8]])
def test_spared_children_are_left(spared: list[int]) -> None:
    """Which children were there before is told, in a place where an older lwcgi passes over it."""
    left = Handover(
        bind=[], listeners=[], queue=[], intake=[], workers=1, configured=1, heirs=[], spared=spared
    )
    fd = left.write()
    content = json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
    assert "spared" not in content["left"]
    assert Handover.take({VARIABLE: str(fd)}) == left
    # An older one has not told.
    del content["spared"]
    fd = os.memfd_create("older")
    os.write(fd, json.dumps(content).encode())
    found = Handover.take({VARIABLE: str(fd)})
    assert found
    assert found.spared is None
