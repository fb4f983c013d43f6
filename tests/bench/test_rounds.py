# SPDX-License-Identifier: MIT
"""Ways to serve that take turns: what bench/rounds.py measures, and what is made of it."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import engines, initialised, rounds, ways
from bench.contenders import APPS
from bench.rounds import HEAVY, Times
from bench.ways import CGI, NONE, WAYS, Way
from demo_apps.stage import Site, StageError, lwcgi_site
from tests.vm.errors import VmError

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
HELLO = APPS[0]
BY_NAME = {way.name: way for way in WAYS}

FOREVER = "import time\ntime.sleep(2)\nraise SystemExit('does not serve')"


def taken(*chosen: Way, turns: int = 2, app: rounds.App = HELLO) -> dict[str, list[float]]:
    """Return the times of a few rounds."""
    found: dict[str, list[float]] = {way.name: [] for way in chosen}
    rounds.take(NGINX, app, chosen, turns, 3, 1.0, lambda way, took: found[way].append(took))
    return found


def test_ways_take_turns() -> None:
    """Each way has a time for each round; a process for each request takes longest."""
    found = taken(NONE, BY_NAME["fork"], CGI)
    assert [len(values) for values in found.values()] == [2, 2, 2]
    assert min(found["CGI"]) > max(found["none"]) > 0


def test_cgi_initialises_for_each_request(tmp_path: Path) -> None:
    """Each request by CGI is the first of its process; under none they are counted."""
    first = re.compile(rb".*<p>Request 1 of this process\.</p>", re.DOTALL)
    app = rounds.App(HEAVY.name, HEAVY.target, first)
    assert len(taken(CGI, turns=1, app=app)["CGI"]) == 1
    with pytest.raises(StageError, match=r"none: answers 200 .*Flora"):
        taken(NONE, app=app)


def test_the_heavy_application_answers() -> None:
    """Its answers are recognised under an engine that isolates, too."""
    assert min(taken(BY_NAME["fork"], app=HEAVY)["fork"]) > 0


def test_a_wrong_answer_is_no_figure(tmp_path: Path) -> None:
    """What answers otherwise than it must is told, with what it answered."""
    (tmp_path / "other.py").write_text(
        'def application(environ, start):\n    start("200 OK", [])\n    return [b"another"]\n'
    )

    def site(_target: str, _folder: Path) -> Site:
        return lwcgi_site("other:application", tmp_path, engine="none")

    with pytest.raises(StageError, match=r"3-line WSGI, other: answers 200 b'another'"):
        taken(Way("other", site))


def test_who_does_not_start_is_told() -> None:
    """A server that ends instead of serving is told, with its log."""

    def site(_target: str, _folder: Path) -> Site:
        return Site("", (sys.executable, "-c", FOREVER), Path("/"))

    with pytest.raises(StageError, match="does not serve"):
        taken(Way("dead", site))


def test_what_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way whose engine lacks something is left out, by its name."""
    monkeypatch.setattr(ways.Way, "lacks", lambda way: "a module" if way.engine == "lwc" else "")
    left, lacking = rounds.possible(WAYS)
    assert lacking == {"lwc, reset": "a module", "lwc, create": "a module"}
    assert len(left) == len(WAYS) - 2


def said(turns: int = 3) -> str:
    """Return what a guest says whose processor takes longer in each round."""
    lines = ["Something else", 'LACKS {"app": "A", "way": "rewind", "lacks": "Linux 6.7"}']
    for turn in range(1, turns + 1):
        for way, took in (("none", 0.01), ("lwc, reset", 0.02), ("fork", 0.1), ("CGI", 1.0)):
            lines.append(f'TURN {{"app": "A", "way": "{way}", "seconds": {took * turn}}}')
    return "\n".join(lines)


def test_what_a_guest_says_is_heard() -> None:
    """Turns and what is lacking are read; ratios are taken within a round."""
    [times] = rounds.heard(said())
    assert times.app == "A"
    assert times.lacking == {"rewind": "Linux 6.7"}
    assert times.rounds["fork"] == pytest.approx([0.1, 0.2, 0.3])
    assert times.ratios("lwc, reset", "none") == pytest.approx([0.5] * 3)
    assert times.ratios("lwc, reset", "CGI") == pytest.approx([50] * 3)


def test_table() -> None:
    """Each way has its median, its spread and its ratios; and what could not be had is told."""
    [times] = rounds.heard(said())
    lines = rounds.table(times, ("none", "CGI", "not there")).splitlines()
    assert lines[0].split() == ["A", "ms", "lowest..highest", "/", "none", "/", "CGI"]
    assert lines[2].split() == [
        *("lwc,", "reset", "40.00", "20.00..60.00", "0.5", "(0.5..0.5)", "50", "(50..50)")
    ]
    assert lines[-1] == f"{'rewind':26} not measured: Linux 6.7"


def test_the_program_says_what_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """What the program prints is what `heard` reads."""
    words = ["--nginx", NGINX, "--app", HELLO.name, "--way", "none", "--rounds", "2", "--most", "2"]
    assert rounds.main(words) == 0
    [times] = rounds.heard(capsys.readouterr().out)
    assert times.app == HELLO.name
    assert [len(values) for values in times.rounds.values()] == [2]


def test_the_engines_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A table for each kernel, and a last line with ratios."""
    monkeypatch.setattr(engines, "measure", lambda *_: rounds.heard(said()))
    monkeypatch.setattr(engines, "RESULTS", tmp_path)
    assert engines.main(["--kernel", "6.12", "--quick"]) == 0
    told = capsys.readouterr().out
    assert "Linux 6.12, emulated" in told
    assert "lwc with reset serves 0.5 of none's and 5 times fork's on 6.12" in told
    assert '"lwc, reset": [0.02' in (tmp_path / "engines.json").read_text()


def test_initialisation_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two tables, the paper's figures, and the engines' ratios to CGI: each where it was measured."""
    here = Times(HEAVY.name, {"none": [0.01], "rewind": [0.01], "fork": [0.1], "CGI": [2.0]})
    monkeypatch.setattr(initialised, "here", lambda *_: here)
    monkeypatch.setattr(engines, "measure", lambda *_: rounds.heard(said()))
    monkeypatch.setattr(engines, "RESULTS", tmp_path)
    assert initialised.main(["--quick"]) == 0
    told = capsys.readouterr().out
    assert "2.7 without and 1.3 with" in told
    assert told.endswith("times the requests of CGI: rewind 200, fork 20, lwc, reset 50\n")
    assert (tmp_path / "initialised.json").exists()


@pytest.mark.parametrize("program", [engines, initialised])
def test_a_guest_that_fails_is_no_figure(
    program: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Where a kernel cannot be booted the reason is told, and nothing is written."""

    def run(*_words: object, **_options: object) -> None:
        raise VmError("no such kernel")

    monkeypatch.setattr(engines.guest, "run", run)
    monkeypatch.setattr(initialised, "here", lambda *_: Times(HEAVY.name))
    monkeypatch.setattr(engines, "RESULTS", tmp_path / "results")
    assert program.main(["--kernel", "6.12"]) == 1
    assert "no such kernel" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
