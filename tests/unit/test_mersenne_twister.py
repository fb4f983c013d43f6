# SPDX-License-Identifier: MIT
"""Generators of ``random``, renewed in place."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from lwcgi import _core
from tests.unit.programs import output

WORDS = 624


class Subclass(random.Random):
    """An application's own, with an attribute and the usual seed()."""

    def __init__(self, seed: int) -> None:
        self.name = "mine"
        super().__init__(seed)


@pytest.fixture(params=[random.Random, Subclass])
def generator(request: pytest.FixtureRequest) -> random.Random:
    """A generator that has drawn, and keeps the second of a pair of normal deviates."""
    made: random.Random = request.param(42)
    made.gauss(0, 1)
    assert made.getstate()[2] is not None
    return made


def test_nothing_of_the_old_state_is_left(generator: random.Random) -> None:
    """All words are new, none of them is used, and no normal deviate is left over."""
    old = generator.getstate()[1]
    _core.MersenneTwister(generator).renew()
    _, new, deviate = generator.getstate()
    assert deviate is None
    assert new[-1] == WORDS, "the next draw begins a new round"
    assert sum(a == b for a, b in zip(old, new, strict=True)) <= 1
    assert len(set(new)) >= WORDS


def test_no_two_states_are_alike() -> None:
    """Of 20,000 renewals no two have a word in the same place, as far as chance allows."""
    generator = random.Random(42)
    twister = _core.MersenneTwister(generator)
    seen: list[Counter[int]] = [Counter() for _ in range(3)]
    for _ in range(20_000):
        twister.renew()
        words = generator.getstate()[1]
        for place, counter in zip((1, 311, 623), seen, strict=True):
            counter[words[place]] += 1
    for counter in seen:
        # Birthdays: 0.05 pairs are expected among so many numbers of 32 bits.
        assert sum(count - 1 for count in counter.values()) <= 3


def test_the_words_are_random() -> None:
    """Each bit of the state is set in half of the renewals; the highest of the first always."""
    generator = random.Random(42)
    twister = _core.MersenneTwister(generator)
    ones = [[0] * 32 for _ in range(4)]
    rounds = 2000
    for _ in range(rounds):
        twister.renew()
        words = generator.getstate()[1]
        for counts, place in zip(ones, (0, 1, 2, 623), strict=True):
            for bit in range(32):
                counts[bit] += words[place] >> bit & 1
    assert ones[0].pop() == rounds, "a state of nothing but zeros would stay so"
    # Seven standard deviations.
    assert all(abs(count - rounds / 2) < 157 for counts in ones for count in counts)


def test_it_is_as_good_as_seeded(generator: random.Random) -> None:
    """A renewed generator draws as usual, and seeding it gives what seeding always gives."""
    _core.MersenneTwister(generator).renew()
    drawn = [generator.random() for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert 0.4 < sum(drawn) / 1000 < 0.6
    generator.seed(42)
    assert generator.random() == random.Random(42).random()


def test_another_layout_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the state is not where it is expected nothing is written; seed() is called instead."""

    class Elsewhere:
        @staticmethod
        def getstate(generator: Any) -> tuple[int, ...]:
            return (*range(WORDS), 7)

    generator = random.Random(42)
    state = generator.getstate()
    monkeypatch.setattr(_core, "RandomCore", Elsewhere)
    with pytest.raises(ValueError, match="layout"):
        _core.MersenneTwister(generator)
    assert generator.getstate() == state
    program = """
import random
from lwcgi import _core, renew
def refuse(generator): raise ValueError
renew.MersenneTwister = refuse
mine = random.Random(42)
found = renew.survey()
before = random.getstate(), mine.getstate()
renew.renew()
print(before[0] != random.getstate(), before[1] != mine.getstate(), "random._inst" in str(found))
"""
    assert output(program) == "True True True\n"


def test_the_usual_generators_are_renewed_in_place() -> None:
    """On the Pythons we know nothing is left for the slow way."""
    program = """
import random
from lwcgi import renew
renew.survey()
mine = random.Random(1)
renew.survey()
states = mine.getstate(), random.getstate()
renew.RandomCore = None  # the slow way needs it
renew.renew()
print(mine.getstate() != states[0], random.getstate() != states[1])
"""
    assert output(program) == "True True\n"


def test_seeds_held_in_advance_are_used_once() -> None:
    """A worker fetches the kernel's bytes for many renewals at once: each is given out once."""
    program = """
import random
from lwcgi import _core, engines, worker
from lwcgi.config import Settings
plumbing = worker.Plumbing(
    listeners=(), queue_send=-1, queue_recv=-1, events=-1, access_log=-1, announce=-1, number=0
)
settings = Settings(app="module:callable")
core = _core.Core(worker._core_settings(engines.ENGINES["none"], settings, plumbing))
core.rehearse(b"")
generator = random.Random()
twister = _core.MersenneTwister(generator)
states = set()
for _ in range(200):
    twister.renew()
    states.add(generator.getstate()[1])
core.close()
print(len(states))
"""
    assert output(program) == "200\n"
