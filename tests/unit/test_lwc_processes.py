# SPDX-License-Identifier: MIT
"""The bindings around calls that return twice, where lwCs are processes (lwc_processes.c).

The programs are those that run in a guest with the module, but for what only a kernel can show.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lwcgi import lwc
from tests.vm.guest_tests import commands, model, plans

ROOT = Path(__file__).parents[2]
GUEST_TESTS = ROOT / "tests" / "vm" / "guest_tests"
FILES = ("guest_calls", "guest_interpreter", "guest_snapshot", "guest_threads")
TESTS = [
    f"{file}::{name}"
    for file in FILES
    for name in re.findall(
        r"^def (test_\w+)", (GUEST_TESTS / f"{file}.py").read_text(), re.MULTILINE
    )
]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which lwCs are processes."""
    library = tmp_path_factory.mktemp("lwc") / "lwc_processes.so"
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    source = Path(__file__).with_name("lwc_processes.c")
    command = ["gcc", *flags, f"-I{ROOT / 'kmod' / 'uapi'}", source, "-o", library]
    subprocess.run(command, check=True)
    return os.environ | {"LD_PRELOAD": str(library), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture(scope="module")
def results(environ: dict[str, str]) -> dict[str, str]:
    """What became of the programs, all run in one go."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", GUEST_TESTS / "pytest.ini"]
        + [GUEST_TESTS / f"{file}.py" for file in FILES],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^TEST (\S+) (.*)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return dict(found)


@pytest.mark.parametrize("case", TESTS)
def test_programs(case: str, results: dict[str, str]) -> None:
    """A program of the guest does what it must where lwCs are processes."""
    assert results[case].startswith("ok "), results[case]


def run_sequences(environ: dict[str, str], count: int, bend: str = "outcome") -> str:
    """Run the driver of random sequences, and return what it says.

    Parameters:
        environ: as the fixture gives it.
        count: of sequences.
        bend: an expression for what the driver takes for the outcome of *command*.
    """
    done = subprocess.run(
        [sys.executable, "-c", BENT, bend, "1", str(count), "20"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode in (0, 1)
    return done.stdout


BENT = """
import sys
from dataclasses import replace
from tests.vm.guest_tests import driver, plans

make, bend = plans.make, compile(sys.argv.pop(1), "bend", "eval")

def make_bent(seed, length, **options):
    return [
        replace(step, outcome=eval(bend, {"replace": replace, "outcome": step.outcome}))
        for step in make(seed, length, **options)
    ]

plans.make = make_bent
sys.exit(driver.main())
"""


def test_sequences(environ: dict[str, str]) -> None:
    """Model, driver and processes agree on 100 random sequences."""
    assert run_sequences(environ, 100) == "100 sequences, 0 failed\n"


@pytest.mark.parametrize(
    ("bend", "told"),
    [
        ("replace(outcome, errors=frozenset())", "answered "),
        ("replace(outcome, errors=frozenset({5}))", "answered success"),
        ("replace(outcome, view=replace(outcome.view, uid=7))", "sees View"),
        ("replace(outcome, runs=outcome.runs + 1)", "entered was 1"),
        (
            "replace(outcome, arrival=outcome.arrival and replace(outcome.arrival, args=(1,)))",
            "was told Arrival",
        ),
        (
            "replace(outcome, about=outcome.about and replace(outcome.about, contexts=0))",
            "is told",
        ),
    ],
)
def test_a_difference_is_found(environ: dict[str, str], bend: str, told: str) -> None:
    """A model that is wrong in one point is told so, with the seed and the step."""
    said = run_sequences(environ, 12, bend)
    assert re.match(r"seed \d+, step \d+: ", said)
    assert told in said


# --- the model ----------------------------------------------------------------


def test_a_plan_is_its_seed() -> None:
    """One seed gives one plan, another seed another."""
    assert plans.make(7, 30) == plans.make(7, 30) != plans.make(8, 30)


def test_plans_say_everything() -> None:
    """The plans of a run hold every command and every error that the model knows."""
    steps = [step for seed in range(1, 1101) for step in plans.make(seed, 20)]
    done = {type(step.command) for step in steps if not step.outcome.errors}
    assert done == {*commands.Command.__args__}
    refused: dict[str, set[str]] = {}
    for step in steps:
        found = refused.setdefault(type(step.command).__name__, set())
        found.update(errno.errorcode[number] for number in step.outcome.errors)
    assert {kind: " ".join(sorted(names)) for kind, names in refused.items() if names} == {
        "Ask": "EBADF ESTALE",
        "Clone": "EACCES EINVAL ESTALE",
        "Create": "EINVAL",
        "Grant": "EACCES ESTALE",
        "Overlay": "EACCES EBUSY EINVAL EROFS ESTALE",
        "Perform": "EACCES EBUSY EINVAL ENOSYS EPERM EROFS ESTALE",
        "Refuse": "EACCES EINVAL ESTALE",
        "Reset": "EACCES EINVAL ESTALE",
        "Restrict": "EACCES EINVAL ESTALE",
        "Switch": "EACCES EBADF EBUSY EROFS ESTALE",
    }
    arrivals = [step.outcome.arrival for step in steps if step.outcome.arrival]
    assert {(arrival.first, arrival.caller is None) for arrival in arrivals} == {
        (first, none) for first in (False, True) for none in (False, True)
    }
    refusals = [step for step in steps if step.outcome.arrival and step.outcome.arrival.refused]
    assert {type(step.command) for step in refusals} == {commands.Call, commands.Switch}
    answers = [step for step in steps if step.outcome.result is not None]
    assert {type(step.command) for step in answers} == {
        *(commands.Call, commands.Perform, commands.Switch)
    }


def do(*steps: commands.Command) -> commands.Outcome:
    """Apply commands to a new world; return what came of the last."""
    world = model.World()
    outcomes = []
    for step in steps:
        assert world.is_fair(step), step
        outcomes.append(world.apply(step))
    return outcomes[-1]


def test_the_model_copies_and_shares() -> None:
    """Copied pages part, shared ones do not, unmapped ones are not there."""
    pages = ((1, 2, commands.SHARE), (2, 3, commands.UNMAP))
    outcome = do(
        commands.Create(1, commands.MAY_RETURN, pages),
        commands.Write(0, 5),
        commands.Write(1, 6),
        commands.Write(7, 8),
        commands.Switch(1, (3,)),
    )
    assert outcome.view.pages == (0, 6, None, 0, 0, 0, 0, 8, None)
    assert outcome.arrival == commands.Arrival(True, 0, 0, (3,))


def test_the_model_resets() -> None:
    """A worker begins again; what is shared stays."""
    outcome = do(
        commands.Create(1, commands.MAY_RETURN | commands.SUSPEND_ONLY),
        commands.Clone(1, 2),
        commands.Switch(2),
        commands.Write(0, 1),
        commands.Write(7, 1),
        commands.OpenSlot(0, 1),
        commands.SetUser(1001),
        commands.Switch(commands.ROOT),
        commands.Reset(2),
        commands.Switch(2),
    )
    assert outcome.view.pages == (*(0,) * 7, 1, None)
    assert outcome.view.slots == (0, 1, 2, None)
    assert outcome.view.uid == 0
    assert outcome.arrival == commands.Arrival(True, 0, 0, ())


def test_the_model_overlays() -> None:
    """What is shared by an overlay both see; copies part; a mask and a right are needed."""
    access = ((0, 2, commands.COPY | commands.ACCESS),)
    steps = (
        commands.Create(1, commands.MAY_RETURN, access, credentials=commands.SHARE),
        commands.Switch(1),
        commands.Write(2, 5),
        commands.Write(3, 6),
        commands.Switch(commands.ROOT),
        commands.Overlay(1, ((2, 3, commands.SHARE), (3, 4, commands.COPY))),
        commands.Write(0, 1),
        commands.Write(2, 7),
        commands.Write(3, 8),
        commands.Switch(1),
    )
    assert do(*steps).view.pages[:4] == (0, 0, 7, 6)
    taken = do(*steps, commands.Overlay(0, ((0, 1, commands.COPY),)))
    assert not taken.errors
    assert taken.view.pages[:4] == (1, 0, 7, 6)
    for pages in (((0, 1, commands.SHARE),), ((1, 3, commands.COPY),)):
        assert do(*steps, commands.Overlay(0, pages)).errors == {13}
    narrow = commands.Restrict(0, ((1, 2, commands.COPY),))
    assert do(*steps, narrow, commands.Overlay(0, ((0, 1, commands.COPY),))).errors == {13}


def test_the_model_refuses() -> None:
    """Without a way back it is EACCES; a destroyed one is stale."""
    assert do(commands.Create(1, 0), commands.Switch(1), commands.Switch(commands.ROOT)).errors == {
        13
    }
    gone = do(
        commands.Create(1, commands.MAY_RETURN),
        commands.Switch(1),
        commands.Switch(commands.ROOT, (), True),
        commands.Switch(1),
    )
    assert gone.errors == {116}


def test_the_model_performs() -> None:
    """A call takes from the other what is named, from the caller the rest."""
    memory, files = (commands.MEMORY,), (commands.FILES_KIND,)
    read = commands.Call("pread64", 1, 0)
    begin = (commands.Create(1, 0), commands.OpenSlot(1, 2))
    word = commands.content(1)
    done = do(*begin, commands.Perform(1, files, read))
    assert (done.result, done.view.pages[0]) == (8, word)
    done = do(*begin, commands.Perform(1, memory, read), commands.Switch(1))
    assert done.view.pages[0] == commands.content(2)
    done = do(*begin, commands.Perform(1, files, commands.Call("close", 1)), commands.Switch(1))
    assert done.view.slots == (0, None, 2, None)
    user = commands.Perform(1, (commands.CREDENTIALS,), commands.Call("geteuid"))
    assert do(commands.Create(1, 0), commands.SetUser(1001), user).result == 0
    hidden = (commands.Create(1, 0), commands.SetUser(1001))
    assert do(*hidden, commands.Perform(1, memory, read)).errors == {1}
    narrow = commands.Restrict(1, slots=((0, commands.SLOTS + 1, commands.SHARE),))
    assert do(*begin, narrow, commands.Perform(1, files, read)).result == 8
    assert do(*begin, narrow, commands.Perform(1, memory, read)).errors == {13}


def test_the_model_refuses_calls() -> None:
    """A refused call waits for its answer; what a creator is refused, what it makes is too."""
    call = commands.Call("geteuid")
    begin = (
        commands.Create(1, commands.MAY_RETURN | commands.TRAP_SYSCALLS),
        commands.Refuse(1, frozenset({"geteuid"})),
        commands.Switch(1),
    )
    came = do(*begin, call)
    assert came.arrival == commands.Arrival(False, 1, None, (), call)
    assert do(*begin, call, commands.Switch(1, (0, 7))).result == 7
    assert do(*begin, call, commands.Switch(1, (13, 7))).result == -13
    again = commands.Switch(1, (commands.AGAIN,))
    assert do(*begin, call, again).arrival == came.arrival
    assert do(*begin, call, commands.Refuse(1, frozenset()), again).result == 0
    nested = (
        *(commands.Create(2, commands.SAME_RIGHTS), commands.Refuse(2, frozenset())),
        *(commands.Grant(2, commands.ROOT), commands.Switch(2)),
    )
    came = do(*begin, *nested, call)
    assert (came.runs, came.arrival) == (1, commands.Arrival(False, 2, None, (), call))
    waiting = (commands.Switch(commands.ROOT), commands.Switch(1), call, commands.Switch(2))
    assert do(*begin, *nested, *waiting, call).result == -1


# --- the page for users -------------------------------------------------------


def test_the_example_of_the_page(environ: dict[str, str]) -> None:
    """The program in docs/lwc.md prints what stands below it."""
    page = (ROOT / "docs" / "lwc.md").read_text()
    program = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert program
    done = subprocess.run(
        [sys.executable, "-c", program[1]], env=environ, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == (program[2], "")


def test_the_page_names_all_errors() -> None:
    """Every error of the package is on the page."""
    page = (ROOT / "docs" / "lwc.md").read_text()
    kinds = [kind for kind in vars(lwc).values() if isinstance(kind, type)]
    names = [kind.__name__ for kind in kinds if issubclass(kind, lwc.LwcError)]
    assert len(names) == 11
    assert [name for name in names if f"`{name}`" not in page] == []
