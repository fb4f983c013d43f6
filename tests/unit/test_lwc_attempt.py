# SPDX-License-Identifier: MIT
"""`lwc.attempt` without the module: a fork takes the place of the copy."""

from __future__ import annotations

import errno
import faulthandler
import os
import sys
import threading
from typing import Any, NoReturn

import pytest

from lwcgi import lwc
from lwcgi.lwc import attempts


class Copies:
    """Makes copies by fork(2): the child is entered at once, and brings back its words."""

    def __init__(self) -> None:
        self.flags: list[lwc.Flag] = []
        self.way: tuple[int, ...] | None = None
        self._pipes: list[tuple[int, int]] = []

    def make(self, flags: lwc.Flag, specs: object, *, stacklevel: int) -> Any:
        """Return twice."""
        self.flags.append(flags)
        self._pipes.append(os.pipe())
        if os.fork() == 0:
            return lwc.Entered(lwc.ROOT, lwc.ROOT, ())
        return lwc.Created(lwc.Context(os.open("/dev/null", os.O_RDONLY)))

    def switch(self, target: lwc.Context, *words: int, discard: bool = False) -> lwc.Switched:
        """Wait for the child; in the child, end."""
        reading, writing = self._pipes.pop()
        if discard:
            os.write(writing, repr(words if self.way is None else self.way).encode())
            os._exit(0)
        os.close(writing)
        words = eval(os.read(reading, 100))
        os.close(reading)
        assert os.wait()[1] == 0
        return lwc.Switched(None, words)


@pytest.fixture(autouse=True)
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Every attempt is a fork."""
    stand_in = Copies()
    monkeypatch.setattr(attempts, "make", stand_in.make)
    monkeypatch.setattr(attempts, "switch", stand_in.switch)
    return stand_in


def descriptors() -> list[str]:
    """Return the names of open descriptors."""
    return os.listdir("/proc/self/fd")


def test_a_value_comes_out() -> None:
    """The body's changes are gone, what it assigned as the result is not."""
    before = descriptors()
    done = ["before"]
    with lwc.attempt() as trial:
        done.append("tried")
        trial.result = [*done, b"x" * 10_000_000]
    assert done == ["before"]
    assert trial.result[:2] == ["before", "tried"]
    assert len(trial.result[2]) == 10_000_000
    assert descriptors() == before


def test_without_a_name_or_a_result() -> None:
    """Both are optional."""
    done = []
    with lwc.attempt():
        done.append(1)
    with lwc.attempt() as trial:
        done.append(1)
    assert not done
    assert trial.result is None


def test_the_form_for_functions() -> None:
    """Arguments go in, the value or the exception comes out."""
    done: list[int] = []

    def risky(number: int, *, add: int) -> int:
        done.append(number)
        return 10 // number + add

    assert lwc.attempt().call(risky, 5, add=1) == 3
    with pytest.raises(ZeroDivisionError):
        lwc.attempt().call(risky, 0, add=1)
    assert not done


@pytest.mark.parametrize(
    "error", [ValueError("no", 5), SystemExit(3), KeyboardInterrupt(), OSError(errno.EPERM, "no")]
)
def test_exceptions_are_raised_here(error: BaseException) -> None:
    """Type and arguments are the same, and a note tells where it was."""
    before = descriptors()
    with pytest.raises(type(error)) as caught:
        with lwc.attempt():
            raise error
    assert caught.value.args == error.args
    assert "test_lwc_attempt.py" in caught.value.__notes__[0]
    assert "raise error" in caught.value.__notes__[0]
    assert descriptors() == before


class Unreadable(Exception):
    """Can be pickled, and not unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_exception_that_cannot_be_handed_out() -> None:
    """Its text is."""
    for error in (Unreadable(1, 2), ValueError(threading.Lock())):
        with pytest.raises(
            lwc.AttemptFailed, match=rf"(?s)attempt raised .*{type(error).__name__}"
        ):
            with lwc.attempt():
                raise error


def test_a_result_that_cannot_be_handed_out() -> None:
    """It is named, with the reason."""
    with pytest.raises(lwc.AttemptFailed, match=r"a lock, cannot be handed out: TypeError: cannot"):
        with lwc.attempt() as trial:
            trial.result = threading.Lock()


def test_a_result_that_is_unknown_here() -> None:
    """A class that only the copy has leads to an error that says so."""

    def body() -> Any:
        module: Any = sys.modules[__name__]
        module.Made = type("Made", (), {"__module__": __name__})
        return module.Made()

    with pytest.raises(lwc.AttemptFailed, match="cannot be read here: AttributeError"):
        lwc.attempt().call(body)


def test_leaving_the_body() -> None:
    """``return``, ``break`` and ``continue`` end the body, and no more."""

    def function() -> str:
        for _ in range(3):
            with lwc.attempt() as trial:
                trial.result = 1
                return "from the body"
            with lwc.attempt():
                break
        return f"behind {trial.result}"

    assert function() == "behind 1"


def test_one_in_another() -> None:
    """The inner one is rolled back in the outer one, and that as a whole."""
    done = []
    with lwc.attempt() as outer:
        done.append("outer")
        with lwc.attempt() as inner:
            done.append("inner")
            inner.result = len(done)
        outer.result = (inner.result, len(done))
    assert outer.result == (2, 1)
    assert not done


def test_a_tracer_goes_on() -> None:
    """Who traced before traces afterwards, here and in the copy."""
    events: list[str] = []

    def tracer(frame: Any, event: str, arg: object) -> Any:
        if frame.f_code.co_name == "traced":
            events.append(event)
        return tracer

    def traced() -> Any:
        with lwc.attempt() as trial:
            trial.result = sys.gettrace() is tracer
        return trial.result

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        result = traced()
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert result is True
    assert after is tracer
    assert events[0] == "call"
    assert events[-2:] == ["line", "return"]


def test_once_each() -> None:
    """An attempt is made once."""
    trial = lwc.attempt()
    with trial:
        pass
    with pytest.raises(RuntimeError, match="made once"):
        trial.call(int)


def test_signals_are_asked_for(copies: Copies) -> None:
    """By default they wait until the copy is gone."""
    with lwc.attempt():
        pass
    with lwc.attempt(signals=True):
        pass
    assert copies.flags == [
        lwc.Flag.MAY_RETURN,
        lwc.Flag.MAY_RETURN | lwc.Flag.SHARE_SIGNALS,
    ]


def test_nothing_is_made_for_a_wrong_statement(copies: Copies) -> None:
    """A target that is no name is refused before there is a copy."""
    before = descriptors()
    results = [0]
    with pytest.raises(RuntimeError, match="plain name"):
        with lwc.attempt() as results[0]:
            pass
    with pytest.raises(RuntimeError, match="entered by a with statement"):
        lwc.attempt().__enter__()
    assert not copies.flags
    assert descriptors() == before


def test_output_is_written_once(capfd: pytest.CaptureFixture[str]) -> None:
    """What is in a buffer before, is not written by both; what the body printed, is written."""
    with os.fdopen(os.dup(1), "w") as stream:
        before, sys.stdout = sys.stdout, stream
        try:
            sys.stdout.write("before ")
            with lwc.attempt():
                sys.stdout.write("inside ")
            sys.stdout.write("behind")
        finally:
            sys.stdout = before
    assert capfd.readouterr().out == "before inside behind"


def test_a_body_that_closes_everything() -> None:
    """Where nothing can be written, that is said."""

    def body() -> None:
        for fd in map(int, descriptors()):
            path = f"/proc/self/fd/{fd}"
            if os.path.exists(path) and "memfd" in os.readlink(path):
                os.close(fd)

    with pytest.raises(lwc.AttemptFailed, match="handed out: Bad file descriptor"):
        lwc.attempt().call(body)


def test_left_by_another_way(copies: Copies) -> None:
    """Words that are not ours are no outcome."""
    copies.way = (5,)
    with pytest.raises(lwc.AttemptFailed, match="another switch"):
        with lwc.attempt():
            pass


def test_a_copy_that_cannot_go_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not run on as the program; it ends the process."""

    def refuses(*_: object, discard: bool = False) -> NoReturn:
        raise lwc.NotGranted(errno.EACCES, "switch: no")

    pid = os.fork()
    if pid == 0:
        faulthandler.disable()
        monkeypatch.setattr(attempts, "switch", refuses)
        monkeypatch.setattr(attempts, "make", lambda *_, **__: lwc.Entered(lwc.ROOT, None, ()))
        with lwc.attempt():
            pass
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -6
