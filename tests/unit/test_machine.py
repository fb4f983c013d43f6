# SPDX-License-Identifier: MIT
"""Which engine is taken on a machine, and what is told about the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lwcgi import engines
from lwcgi.engines.base import Engine, Verdict
from lwcgi.errors import EngineError
from lwcgi.supervisor import machine

NO_UFFD = Verdict(lacks="no userfaultfd", remedy="allow it")
NO_MODULE = Verdict(lacks="no module", remedy="load it")
NO_DISPATCH = Verdict(slower="calls cannot be seen", remedy="allow prctl")


def rewind(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> Engine:
    """Have the engine `rewind` examined with this *verdict*."""
    return examined(monkeypatch, "rewind", verdict)


def examined(monkeypatch: pytest.MonkeyPatch, name: str, verdict: Verdict) -> Engine:
    """Have that engine examined with this *verdict*."""
    engine = replace(engines.ENGINES[name], examine=lambda: verdict)
    monkeypatch.setitem(engines.ENGINES, name, engine)
    return engine


def row(name: str) -> machine.Row:
    """Return that line of the table."""
    return next(row for row in machine.table() if row.name == name)


def test_auto_takes_the_best(monkeypatch: pytest.MonkeyPatch):
    """`auto` is `rewind` where that runs, and nothing is excused."""
    rewind(monkeypatch, Verdict())
    engine, why = machine.choose("auto")
    assert (engine.name, why) == ("rewind", f"chosen by auto: {engine.summary}")


def test_auto_takes_the_next_best(monkeypatch: pytest.MonkeyPatch):
    """Where `rewind` does not run, `auto` is `fork` and says why not `rewind`."""
    rewind(monkeypatch, NO_UFFD)
    examined(monkeypatch, "lwc", NO_MODULE)
    engine, why = machine.choose("auto")
    assert engine.name == "fork"
    assert why.endswith("; not rewind: no userfaultfd; not lwc: no module")


@pytest.mark.parametrize("name", ["auto", "rewind"])
def test_slower_is_told(monkeypatch: pytest.MonkeyPatch, name: str):
    """An engine that runs, but slower than elsewhere, is taken and says so."""
    rewind(monkeypatch, NO_DISPATCH)
    engine, why = machine.choose(name)
    assert engine.name == "rewind"
    assert why.endswith("; slower here: calls cannot be seen")
    assert row("rewind").levels == ("leak", "bug")
    assert row("rewind").remedy == "allow prctl"


def test_engine_that_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Asked for by name, an engine that cannot run here is an error with cause and remedy."""
    rewind(monkeypatch, NO_UFFD)
    with pytest.raises(EngineError) as caught:
        machine.choose("rewind")
    assert caught.value.cause == "engine rewind cannot run here: no userfaultfd"
    assert caught.value.remedy == "allow it"
    assert row("rewind") == machine.Row(
        name="rewind", levels=(), remark="no userfaultfd", remedy="allow it"
    )


@pytest.mark.parametrize("name", ["fork", "none"])
def test_engines_for_any_linux(monkeypatch: pytest.MonkeyPatch, name: str):
    """The others run anywhere, and choosing them examines nothing."""
    monkeypatch.setitem(
        engines.ENGINES, "rewind", replace(engines.ENGINES["rewind"], examine=_never)
    )
    engine, why = machine.choose(name)
    assert (engine.name, why) == (name, f"as asked: {engine.summary}")


def _never() -> Verdict:
    raise AssertionError("examined")
