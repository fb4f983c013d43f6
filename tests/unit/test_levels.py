# SPDX-License-Identifier: MIT
"""Which engine gives which level of isolation, which is taken, and what is refused."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lwcgi import engines
from lwcgi.config import LEVELS, Settings
from lwcgi.engines import hostile, lwc
from lwcgi.engines.base import Verdict
from lwcgi.errors import ConfigError, EngineError
from lwcgi.supervisor import examination, machine
from lwcgi.supervisor.identity import Identity

GIVEN = {
    "rewind": ("leak", "bug"),
    "lwc": ("leak", "bug", "hostile"),
    "fork": ("leak", "bug", "hostile"),
    "none": (),
}
CELLS = [(name, level) for name in GIVEN for level in LEVELS]
AS_ROOT = Verdict(lacks="as root", remedy="not as root")


@pytest.fixture(autouse=True)
def _everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine every engine runs, and what `hostile` needs is there."""
    for name, engine in engines.ENGINES.items():
        monkeypatch.setitem(engines.ENGINES, name, replace(engine, examine=Verdict))
    monkeypatch.setattr(hostile, "examine", Verdict)


def test_engines_give_what_is_designed() -> None:
    """No engine gives more or less than the design says."""
    assert {name: engine.levels for name, engine in engines.ENGINES.items()} == GIVEN
    assert all(engine.isolates == bool(GIVEN[name]) for name, engine in engines.ENGINES.items())
    assert all(bool(engine.short) == ("hostile" not in GIVEN[name]) for name, engine in engines.ENGINES.items())  # fmt: skip


@pytest.mark.parametrize(("name", "level"), CELLS)
def test_named_engine(name: str, level: str) -> None:
    """A named engine is taken for the levels it gives, and refused for the others."""
    if level in GIVEN[name]:
        assert machine.choose(name, level)[0].name == name
        return
    with pytest.raises(ConfigError) as caught:
        machine.choose(name, level)
    because = engines.ENGINES[name].short
    assert caught.value.cause == f"--engine {name} with --isolate {level}: {because}"
    able = ", ".join(other for other, levels in GIVEN.items() if level in levels)
    assert caught.value.remedy == f"take --engine auto, or one of {able}"


@pytest.mark.parametrize("name", GIVEN)
def test_named_engine_without_a_level(name: str) -> None:
    """Where no level is asked for, every engine is taken that is named, also `none`."""
    assert machine.choose(name)[0].name == name


@pytest.mark.parametrize(
    ("level", "there", "taken"),
    [
        (None, "rewind lwc fork none", "rewind"),
        ("leak", "rewind lwc fork none", "rewind"),
        ("bug", "rewind lwc fork none", "rewind"),
        ("bug", "lwc fork none", "lwc"),
        ("bug", "fork none", "fork"),
        ("hostile", "rewind lwc fork none", "lwc"),
        ("hostile", "rewind fork none", "fork"),
    ],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, level: str | None, there: str, taken: str) -> None:
    """`auto` takes the cheapest that gives the level, and tells why not each that is cheaper."""
    for name, engine in engines.ENGINES.items():
        found = Verdict() if name in there.split() else Verdict(lacks=f"no {name}")
        monkeypatch.setitem(engines.ENGINES, name, replace(engine, examine=lambda v=found: v))
    engine, why = machine.choose("auto", level)
    assert engine.name == taken
    asked = f" for --isolate {level}" if level else ""
    told, *better = why.split("; not ")
    assert told == f"chosen by auto{asked}: {engine.summary}"
    cheaper = list(GIVEN)[: list(GIVEN).index(taken)]
    reasons = {
        name: engines.ENGINES[name].short if (level or "bug") not in GIVEN[name] else f"no {name}"
        for name in cheaper
    }
    assert better == [f"{name}: {why}" for name, why in reasons.items()]


@pytest.mark.parametrize("name", ["auto", "lwc", "fork"])
def test_hostile_needs_more(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where `hostile` cannot be given here, no engine is taken for it; the other levels can."""
    monkeypatch.setattr(hostile, "examine", lambda: AS_ROOT)
    with pytest.raises(EngineError) as caught:
        machine.choose(name, "hostile")
    assert caught.value.cause.endswith(": as root")
    assert caught.value.remedy == "not as root"
    assert machine.choose(name, "bug")


def test_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has each engine with its levels here, and what each missing one needs."""
    assert {row.name: row.levels for row in machine.table()} == GIVEN
    monkeypatch.setattr(hostile, "examine", lambda: AS_ROOT)
    rows = {row.name: row for row in machine.table()}
    assert rows["fork"].levels == ("leak", "bug")
    assert rows["fork"].missing == (("hostile", "as root", "not as root"),)
    assert rows["rewind"].missing[0][:2] == ("hostile", engines.ENGINES["rewind"].short)
    short = engines.ENGINES["none"].short
    assert [(level, lacks) for level, lacks, _ in rows["none"].missing] == [
        (level, short) for level in LEVELS
    ]
    assert all(remedy for *_, remedy in rows["none"].missing)


def _status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **sets: int) -> None:
    """Have this process be a plain user's, with these capability sets."""
    lines = [f"{name}:\t{sets.get(name, 0):016x}" for name in ("CapInh", "CapPrm", "CapAmb")]
    (tmp_path / "status").write_text("\n".join(lines))
    monkeypatch.setattr(hostile, "STATUS", tmp_path / "status")
    monkeypatch.setattr(os, "getresuid", lambda: (1000, 1000, 1000))
    monkeypatch.setattr(hostile._core, "confinement", lambda: 0)


class TestHostile:
    """What hostile.examine says; the fixture above is undone."""

    @pytest.fixture(autouse=True)
    def _as_it_is(self, monkeypatch: pytest.MonkeyPatch, _everything_is_there: None) -> None:
        monkeypatch.undo()

    @pytest.mark.parametrize("users", [(0, 0, 0), (1000, 0, 1000), (0, 1000, 1000), (7, 7, 0)])
    def test_root(self, monkeypatch: pytest.MonkeyPatch, users: tuple[int, int, int]) -> None:
        """Root is refused, also where it is only what the process can become again."""
        monkeypatch.setattr(os, "getresuid", lambda: users)
        found = hostile.examine()
        assert found.lacks == "the application would run as root"
        assert "--user NAME" in found.remedy

    @pytest.mark.parametrize("name", ["CapInh", "CapPrm", "CapAmb"])
    @pytest.mark.parametrize("number", [19, 21, 7, 13])  # ptrace, admin, setuid, raw packets
    def test_rights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
    ) -> None:
        """A user with rights of root is refused, in whichever set they are."""
        _status(tmp_path, monkeypatch, **{name: 1 << number})
        found = hostile.examine()
        assert found.lacks == f"the application would have capabilities of root ({1 << number:#x})"
        assert "--user NAME" in found.remedy

    def test_a_low_port_is_no_danger(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The right to listen on a low port lets nobody read anything."""
        _status(tmp_path, monkeypatch, CapPrm=1 << 10, CapAmb=1 << 10)
        assert hostile.examine() == Verdict()

    @pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
    def test_kernel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
        """A kernel that cannot keep processes apart is refused, with what would help."""
        _status(tmp_path, monkeypatch)
        monkeypatch.setattr(hostile._core, "confinement", lambda: -error)
        found = hostile.examine()
        assert found.lacks.endswith(f"({os.strerror(error)})")
        assert "Landlock" in found.remedy


def test_asked_as_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of a process of the user is the same as one's own, errors included."""
    nobody = Identity("somebody", 1, 1, (1,), None)
    words: list[list[str]] = []

    def run(command: list[str], **_: object) -> object:
        words.append(command[5:])  # behind the door
        told = examination.json.dumps(examination._reply(command[5:]))
        return type("Done", (), {"stdout": told})

    monkeypatch.setattr(examination.subprocess, "run", run)
    assert examination.table(nobody) == machine.table()
    examination.choose.cache_clear()
    own = machine.choose("auto", "hostile")
    assert examination.choose("auto", "hostile", nobody) == (own[0].name, own[1])
    assert examination.choose("fork", None, nobody)[0] == "fork"
    with pytest.raises(ConfigError, match=r"process \(as somebody\)$"):
        examination.choose("none", "leak", nobody)
    examination.choose.cache_clear()
    assert words == [["table"], ["choose", "auto", "hostile"], ["choose", "fork", "-"], ["choose", "none", "leak"]]  # fmt: skip


def test_door_for_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only we may open is opened where it is needed, as long as it is, whatever it leads to."""
    nobody = Identity("somebody", 1, 1, (1,), None)
    monkeypatch.setattr(lwc, "DEVICE", os.devnull)
    for engine in ("auto", "lwc"):
        with examination.door(nobody, engine) as fd:
            assert os.readlink(f"/proc/self/fd/{fd}") == os.devnull
            lwc.inherit_door(fd)
            try:
                # Its user is told what is wrong with it, not that it may not be opened.
                assert lwc.examine().remedy == "load the module lwc"
            finally:
                lwc.inherit_door(-1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    for identity, engine in ((None, "lwc"), (nobody, "fork"), (nobody, "rewind")):
        with examination.door(identity, engine) as fd:
            assert fd == -1
    monkeypatch.setattr(lwc, "DEVICE", "/dev/null/nothing")
    with examination.door(nobody, "lwc") as fd:
        assert fd == -1


def test_reload_keeps_the_level() -> None:
    """The level is a setting like others: what is told to the snapshot process has it."""
    settings = Settings(app="a:b", engine="fork", isolate="hostile")
    assert Settings.from_json(settings.to_json()).isolate == "hostile"
    with pytest.raises(ConfigError, match="isolate 'bugs' is unknown"):
        Settings(app="a:b", isolate="bugs")
