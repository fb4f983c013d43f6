# SPDX-License-Identifier: MIT
"""Sessions, wait statuses and back-off: the small parts the supervisor stands on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lwcgi.errors import EngineError
from lwcgi.supervisor import machine, processes
from lwcgi.supervisor.backoff import YOUNG, Backoff
from tests.harness import until
from tests.harness.processes import look


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a session of its own and has a name to trip parsers."""
    code = "import time; open('/proc/self/comm', 'w').write(') Z 1 (x'); print(); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-uc", code], start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_look_up(sleeper: subprocess.Popen[bytes]) -> None:
    """A process is found with its parent and session, whatever its name."""
    expected = processes.Process(sleeper.pid, os.getpid(), sleeper.pid)
    assert processes.look_up(sleeper.pid) == expected
    assert processes.members(sleeper.pid) == [expected]
    assert processes.children(sleeper.pid) == [expected]


def test_zombie_is_not_found(sleeper: subprocess.Popen[bytes]) -> None:
    """What is dead is no member of its session, waited for or not."""
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.look_up(sleeper.pid) is None
    assert processes.members(sleeper.pid) == []
    sleeper.wait()
    assert processes.look_up(sleeper.pid) is None


def test_process_without_its_first_thread() -> None:
    """Where only that has ended, /proc says zombie, and the others go on: it is found, and killed."""
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=[60]).start();"
        "print(flush=True); ctypes.CDLL(None).syscall(60, 0)"  # exit(2), of one thread
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: (found := look(process.pid)) and found.state == "Z", "it to end")
        found = processes.look_up(process.pid)
        assert found
        processes.send([found], signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL


def test_send(sleeper: subprocess.Popen[bytes]) -> None:
    """A signal reaches the processes it is sent to."""
    processes.send(processes.members(sleeper.pid), signal.SIGTERM)
    assert sleeper.wait(20) == -signal.SIGTERM


def test_pid_that_was_used_again_is_spared(sleeper: subprocess.Popen[bytes]) -> None:
    """No signal goes to a process that has the pid, but not the session, of the one meant."""
    processes.send([processes.Process(sleeper.pid, 1, session=1)], signal.SIGKILL)
    processes.send([processes.Process(sleeper.pid, 1, sleeper.pid)], signal.SIGTERM)
    assert sleeper.wait(20) == -signal.SIGTERM


def test_child_that_has_detached_since_is_meant(sleeper: subprocess.Popen[bytes]) -> None:
    """A child of ours is who it was, in whichever session."""
    processes.send([processes.Process(sleeper.pid, os.getpid(), session=1)], signal.SIGTERM)
    assert sleeper.wait(20) == -signal.SIGTERM


def test_bound() -> None:
    """A process that gains no rights is known by it."""
    command = ["setpriv", "--no-new-privs", "sleep", "60"]
    with subprocess.Popen(command) as process:
        until(lambda: processes.is_bound(process.pid), "it to be bound")
        process.kill()
        process.wait()
        assert not processes.is_bound(process.pid)
    assert not processes.is_bound(1)


def test_a_child_that_proc_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc hides a process that is not dumpable (hidepid), a child of ours is found."""

    def open_visible(path: str, mode: str) -> object:
        if path.endswith(("/stat", "/status")):
            raise FileNotFoundError(path)
        return open(path, mode)

    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        monkeypatch.setattr(processes, "open", open_visible, raising=False)
        found = processes.Process(process.pid, os.getpid(), process.pid)
        assert processes.children(process.pid) == [found]
        assert processes.is_bound(process.pid)
        processes.send([found], signal.SIGKILL)
        until(lambda: not processes.children(process.pid), "it to end")
        assert not processes.is_bound(process.pid)
        assert process.wait() == -signal.SIGKILL
    assert processes.look_up(1) is None  # nobody's child of ours


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit code 0"),
        (3 << 8, "ended with exit code 3"),
        (signal.SIGSEGV | 0x80, "was killed by SIGSEGV"),
        (signal.SIGRTMIN + 3, f"was killed by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_wait_status_in_words(status: int, words: str) -> None:
    """A wait status is told as exit code or signal name."""
    assert processes.describe(status) == words


def test_backoff() -> None:
    """The first death costs nothing, then waits double from 0.1 s up to 5 s."""
    backoff = Backoff()
    delays = [backoff.died(1.0) for _ in range(9)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_backoff_forgives_a_long_life() -> None:
    """A process that lived long makes the waits start over."""
    backoff = Backoff()
    for _ in range(5):
        backoff.died(0.0)
    assert backoff.died(YOUNG) == 0.0
    assert backoff.died(0.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("target", "name", "value", "cause"),
    [
        ("sys", "version_info", (3, 10, 13), "is too old"),
        ("platform", "python_implementation", lambda: "PyPy", "PyPy is not supported"),
        ("sysconfig", "get_config_var", lambda _: 1, "free-threaded"),
        ("platform", "machine", lambda: "aarch64", "linux on aarch64 is not supported"),
    ],
)
def test_unsupported_python_or_machine(
    monkeypatch: pytest.MonkeyPatch, target: str, name: str, value: object, cause: str
) -> None:
    """Pythons and machines that cannot work are refused with exit code 6 and a remedy."""
    machine.refuse_unsupported()
    monkeypatch.setattr(getattr(machine, target), name, value)
    with pytest.raises(EngineError) as caught:
        machine.refuse_unsupported()
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert caught.value.exit_code == 6
