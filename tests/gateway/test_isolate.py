# SPDX-License-Identifier: MIT
"""--isolate: what is taken, what is refused at the start, and what is said about it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from lwcgi.config import ENGINES, LEVELS
from lwcgi.engines import ENGINES as KNOWN
from tests.contract import promises
from tests.contract.checks import neighbours
from tests.gateway.reloading import version
from tests.harness import Gateway, opened
from tests.harness.code import Code
from tests.harness.lacking_kernel import Rule, command

NEVER = [
    (name, level)
    for name, engine in KNOWN.items()
    for level in LEVELS
    if level not in engine.levels
]
NO_LANDLOCK = [Rule(444, errno.EOPNOTSUPP)]
_SHARES = "a request shares the memory of its worker"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def lwcgi(*words: str, rules: list[Rule] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `lwcgi`, on a kernel with *rules*, where every user can read it."""
    program = opened.program()
    return subprocess.run(
        [*(command(rules, *program) if rules else program), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("engine", "level"), NEVER)
@pytest.mark.parametrize("words", [("run", "myproject:app"), ("check",)])
def test_never_given(engine: str, level: str, words: tuple[str, ...]) -> None:
    """Each "no" of the table: the engine is refused at the start, with cause and remedy."""
    told = lwcgi(*words, "--engine", engine, "--isolate", level)
    assert told.returncode == 2
    cause = f"--engine {engine} with --isolate {level}: {KNOWN[engine].short}"
    assert f"lwcgi: error: {cause}" in told.stderr
    assert "lwcgi: remedy: take --engine auto, or one of " in told.stderr


def test_every_no_is_tried() -> None:
    """What is refused above is all that no engine of that name gives."""
    given = [(name, level) for name, engine in KNOWN.items() for level in engine.levels]
    assert {*NEVER, *given} == {(n, lev) for n in ENGINES if n != "auto" for lev in LEVELS}
    assert {*NEVER} == {("rewind", "hostile"), *(("none", level) for level in LEVELS)}


@as_root
@pytest.mark.parametrize("engine", ["auto", "lwc", "fork"])
@pytest.mark.parametrize("words", [("run", "myproject:app"), ("check",)])
def test_hostile_as_root(engine: str, words: tuple[str, ...]) -> None:
    """Root is above what separates processes, so `hostile` is refused for it."""
    told = lwcgi(*words, "--engine", engine, "--isolate", "hostile")
    assert told.returncode == 6
    assert "error: " in told.stderr
    assert ": the application would run as root\n" in told.stderr
    assert "remedy: run the application as a user of its own: --user NAME\n" in told.stderr


@as_root
@pytest.mark.parametrize("engine", ["auto", "fork"])
def test_hostile_without_landlock(engine: str) -> None:
    """A kernel that cannot keep processes of one user apart is refused, with what would help."""
    words = ("check", "--user", "nobody", "--engine", engine)
    told = lwcgi(*words, "--isolate", "hostile", rules=NO_LANDLOCK)
    assert told.returncode == 6
    why = f"cannot be kept from other processes ({os.strerror(errno.EOPNOTSUPP)}) (as nobody)\n"
    assert why in told.stderr
    assert "lwcgi: remedy: use Linux 5.19 or later with Landlock" in told.stderr
    assert lwcgi(*words, "--isolate", "bug", rules=NO_LANDLOCK).returncode == 0


@as_root
def test_check_shows_engines_and_levels() -> None:
    """`lwcgi check` shows which engine gives which level to that user, and each remedy."""
    lines = lwcgi("check", "--user", "nobody", "--isolate", "hostile").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("isolates "))
    assert lines[at].split() == ["isolates", "against", *LEVELS]
    rows = {line.split()[1]: line.split()[2:5] for line in lines if line.startswith("engine ")}
    assert list(rows) == list(KNOWN)
    assert rows["fork"] == ["yes", "yes", "yes"]
    assert rows["none"] == ["no", "no", "no"]
    if rows["rewind"][0] == "yes":
        assert rows["rewind"] == ["yes", "yes", "no"]
        assert f"{'':<18}not hostile: {_SHARES}" in lines
        assert f"{'':<18}remedy: take --engine auto, or one of lwc, fork" in lines
    before = {"rewind": f"; not rewind: {_SHARES}", "lwc": "; not lwc: "}
    engine = lines[-1].split()[2].removesuffix(",")
    assert f"would use    {engine}, chosen by auto for --isolate hostile: " in lines[-1]
    cheaper = list(KNOWN)[: list(KNOWN).index(engine)]
    assert all(before[name] in lines[-1] for name in cheaper)


@as_root
def test_check_as_root() -> None:
    """To root it shows what is missing for `hostile`, and the remedy."""
    lines = lwcgi("check").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("engine fork"))
    assert lines[at].split()[2:5] == ["yes", "yes", "no"]
    assert lines[at + 1].strip() == "not hostile: the application would run as root"
    assert lines[at + 2].strip() == "remedy: run the application as a user of its own: --user NAME"


@as_root
def test_auto_for_hostile() -> None:
    """`auto` serves with the cheapest engine that gives it; one line says why not a cheaper one."""
    options = {"isolate": "hostile", "user": "nobody"}
    with Gateway(engine="auto", options=options, program=opened.program()) as gateway:
        assert gateway.get("/").status == 200
        lines = [line for line in gateway.log().splitlines() if " INFO engine " in line]
    assert len(lines) == 1
    assert ", chosen by auto for --isolate hostile: " in lines[0]
    assert f"; not rewind: {_SHARES}" in lines[0]


@as_root
def test_level_at_a_reload(serve: Callable[..., Gateway], code: Code) -> None:
    """A level that cannot be given costs the reload, and what was loaded before goes on."""
    file = code.folder / "lwcgi.toml"
    file.write_text("isolate = 'bug'\n")
    with serve("auto", config=str(file)) as gateway:
        gateway.wait_for_log("chosen by auto for --isolate bug: ")
        file.write_text("isolate = 'hostile'\n")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("--isolate hostile is impossible here: the application would run")
        assert version(gateway) == "one"


@pytest.mark.parametrize("variant", ["fork", "rewind"])
def test_what_hostile_is_for(variant: str) -> None:
    """Without it, processes of one user can look into each other: the threat model says so."""
    with promises.start(variant) as gateway:
        neighbours.neighbours_can_be_attacked(gateway)
