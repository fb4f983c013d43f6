# SPDX-License-Identifier: MIT
"""When a snapshot is due to be made anew."""

from __future__ import annotations

import pytest

from lwcgi.config import Settings
from lwcgi.supervisor import freshness
from lwcgi.supervisor.freshness import CRASH_PAUSE, Freshness

APP = "module:callable"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(freshness.time, "monotonic", lambda: now[0])
    return now


def test_never(clock: list[float]) -> None:
    """Zeros mean never."""
    watch = Freshness()
    watch.renewed(Settings(app=APP, snapshot_max_age=0, snapshot_max_crashes=0))
    for _ in range(1000):
        watch.crashed()
    assert watch.due() is None
    assert watch.complaint() == ""


def test_gateways_do_not_rebuild_together(clock: list[float]) -> None:
    """The moment is drawn from the last tenth of the age."""
    moments = set()
    for _ in range(50):
        watch = Freshness()
        watch.renewed(Settings(app=APP, snapshot_max_age=100))
        moments.add(watch.due())
    assert all(moment and 1090 <= moment <= 1100 for moment in moments)
    assert len(moments) > 40


def test_age_that_could_not_be_cured(clock: list[float]) -> None:
    """After a failure it is tried again, but not at once."""
    watch = Freshness()
    watch.renewed(Settings(app=APP, snapshot_max_age=100))
    clock[0] = 1101.0
    assert "maximum age" in watch.complaint()
    assert watch.complaint() == ""
    assert watch.due() == pytest.approx(1111)


def test_crashes_are_limited_in_time(clock: list[float]) -> None:
    """The second rebuild because of crashes has to wait, also after one that went well."""
    settings = Settings(app=APP, snapshot_max_age=0, snapshot_max_crashes=2)
    watch = Freshness()
    watch.renewed(settings)
    watch.crashed()
    assert watch.complaint() == ""
    watch.crashed()
    assert "2 requests have crashed" in watch.complaint()
    watch.renewed(settings)
    for _ in range(5):
        watch.crashed()
    assert watch.complaint() == ""
    assert watch.due() == 1000 + CRASH_PAUSE
    clock[0] += CRASH_PAUSE
    assert "5 requests have crashed" in watch.complaint()
