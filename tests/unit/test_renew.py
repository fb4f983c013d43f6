# SPDX-License-Identifier: MIT
"""Nothing that a program draws in two copies of one snapshot is the same."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest

from lwcgi import renew
from tests.unit import two_contexts

# What the kernel gives afresh needs no renewal; nor does what is made of it since the survey.
ALWAYS_FRESH = {"random.system", "secrets", "urandom", "uuid1", "uuid4"}


def output(*arguments: str) -> str:
    """Return what Python prints when started with *arguments*."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What the program `two_contexts` found out."""
    result: dict[str, Any] = json.loads(output("-m", "tests.unit.two_contexts"))
    return result


@pytest.mark.parametrize("name", two_contexts.DRAWS)
def test_two_contexts_draw_different_values(report: dict[str, Any], name: str) -> None:
    """With renewal two contexts differ, whatever the application seeded, cached or froze."""
    first, second = report["renewed"]
    assert first[name] != second[name]


@pytest.mark.parametrize("name", sorted(two_contexts.DRAWS.keys() - ALWAYS_FRESH))
def test_without_renewal_they_repeat(report: dict[str, Any], name: str) -> None:
    """The test above tests something: without renewal this source repeats."""
    first, second = report["control"]
    assert first[name] == second[name]


def test_uuid1_is_unique_within_one_tick(report: dict[str, Any]) -> None:
    """UUIDs of one clock tick are all different, and are proper ones of version 1."""
    drawn = [uuid.UUID(text) for text in report["one tick"]]
    assert len(set(drawn)) == 1000
    assert {value.time for value in drawn} == {drawn[0].time}
    assert {(value.version, value.variant) for value in drawn} == {(1, uuid.RFC_4122)}
    assert all(value.node >> 40 & 1 for value in drawn), "a node that could be a network card's"


def test_uuid1_tells_the_time() -> None:
    """The clock of a UUID made by us is the clock of one made by the library."""
    ours, safe = renew._time_uuid()
    theirs = uuid.uuid1(node=1)  # with a node the library does not ask for ours
    assert abs(theirs.time - uuid.UUID(bytes=ours).time) < 600 * 10_000_000
    assert safe == 0


def test_getnode_is_left_alone(report: dict[str, Any]) -> None:
    """uuid.getnode() still names the machine."""
    assert report["node kept"]
    assert report["own generator"]


def test_what_is_renewed_is_named(report: dict[str, Any]) -> None:
    """Generators in modules are named, others counted by kind."""
    lines = report["found"]
    for line in (
        "random._inst (random.Random)",
        "__main__.seeded (random.Random)",
        "__main__.own_seed (__main__.OwnSeed)",
        "1 random.Random, not named in a module",
        "__main__.generator (numpy.random._generator.Generator)",
        "__main__.sequence (numpy.random.bit_generator.SeedSequence)",
        "the generator of _sqlite3",
        "uuid.uuid1",
    ):
        assert line in lines
    assert not any("SystemRandom" in line for line in lines)
    # One is in a generator, which is named; one stands alone, in a module.
    assert [line for line in lines if "PCG64)" in line] == [
        "__main__.bare (numpy.random._pcg64.PCG64)"
    ]


def test_what_cannot_be_renewed_is_named(report: dict[str, Any]) -> None:
    """Generators that no seed() reaches are told, with the remedy, and are not claimed."""
    lines = report["repeats"]
    assert [line.partition(":")[0] for line in sorted(lines)] == [
        "__main__.constant (__main__.Constant)",
        "__main__.demanding (__main__.Demanding)",
    ]
    assert all("after_restore" in line for line in lines)
    claimed = " ".join(report["found"])
    assert "constant" not in claimed
    assert "demanding" not in claimed


def test_libraries_out_of_reach_are_named() -> None:
    """A library with a hidden generator is told, with the call that refreshes it."""
    program = (
        "import sys, types; sys.modules['uuid_utils'] = types.ModuleType('uuid_utils')\n"
        "from lwcgi import renew; renew.survey(); print(renew.repeats())"
    )
    assert "uuid_utils.reseed_rng() in an after_restore hook" in output("-c", program)


def test_survey_does_not_touch_lazy_objects() -> None:
    """Looking for generators runs no code of the application's proxies, nor imports numpy."""
    program = """
import sys
class Lazy:
    @property
    def __class__(self): print("touched")
    @property
    def __dict__(self): print("touched")
    def __getattr__(self, name): print("touched")
lazy = Lazy()
from lwcgi import renew
renew.survey(); renew.renew()
print("numpy" in sys.modules, "tempfile" in sys.modules)
"""
    assert output("-c", program) == "False False\n"
