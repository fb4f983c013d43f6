# SPDX-License-Identifier: MIT
"""Objects of the snapshot that no longer count their references."""

from __future__ import annotations

import sys

import pytest

from lwcgi import immortal
from tests.unit.programs import output

needs_immortals = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="needs CPython 3.12: immortal objects"
)

# In an interpreter of its own: what is done cannot be taken back.
BEGINNING = """
import gc, sys, weakref
from lwcgi import immortal
IMMORTAL = sys.getrefcount(None)
assert not immortal.lacks()
"""


def test_why_not_is_told() -> None:
    """On a Python without immortal objects that is the reason; on others there is none."""
    expected = "" if sys.version_info >= (3, 12) else "3.12"
    assert expected in immortal.lacks()
    assert bool(expected) == bool(immortal.lacks())


@needs_immortals
def test_all_that_is_reachable_no_longer_counts() -> None:
    """Functions, their code and its constants, classes, instances, and what only they refer to."""
    program = """
class Thing:
    __slots__ = ("held", "__weakref__")

def function(argument="a default " + str(Thing)):
    def inner():
        return "a constant of the inner one", (1.5, b"nested")
    return inner

thing = Thing()
thing.held = [{"key " + str(thing): ("value " + str(thing), 2.5 ** len(sys.argv))}]
immortal.apply()
[inner] = [item for item in function.__code__.co_consts if hasattr(item, "co_consts")]
(key, values), = thing.held[0].items()
items = [
    Thing, thing, thing.held, thing.held[0], key, *values, Thing.held,
    function, function.__defaults__[0], function.__code__, function.__code__.co_consts,
    inner, *inner.co_consts[1:], *inner.co_consts[-1], inner.co_qualname, inner.co_filename,
    sys.modules, sys.modules["gc"], globals(),
]
print([repr(item) for item in items if sys.getrefcount(item) != IMMORTAL])
many = [items] * 100
print(sys.getrefcount(thing) == sys.getrefcount(key) == IMMORTAL)
"""
    assert output(BEGINNING + program) == "[]\nTrue\n"


@needs_immortals
def test_finalisers_of_the_snapshot_do_not_run() -> None:
    """What was made before is never freed; what is made later is, as ever."""
    program = """
class Thing:
    pass

early = Thing()
weakref.finalize(early, print, "early")
immortal.apply()
gc.freeze()
late = Thing()
weakref.finalize(late, print, "late").atexit = False
del early
del late
gc.collect()
print("end", flush=True)
import os
os._exit(0)
"""
    assert output(BEGINNING + program) == "late\nend\n"


@needs_immortals
def test_what_is_running_counts_as_ever() -> None:
    """Generators and frames are left alone, those that hang on something else too."""
    program = """
def numbers():
    yield 1

try:
    1 / 0
except ZeroDivisionError as error:
    caught = error
class Holder:
    pass
holder = Holder()
holder.generator = numbers()
immortal.apply()
print(sys.getrefcount(holder) == IMMORTAL, sys.getrefcount(holder.generator) == IMMORTAL)
print(sys.getrefcount(caught.__traceback__.tb_frame) == IMMORTAL)
"""
    assert output(BEGINNING + program) == "True False\nFalse\n"


@needs_immortals
def test_nothing_of_its_own_is_left() -> None:
    """A second time there is next to nothing to do, and the lists of the first are free again."""
    program = """
junk = [[n] for n in range(100_000)]
immortal.apply()
gc.freeze()
gc.collect()
blocks = sys.getallocatedblocks()
again = immortal.apply()
print(again < 50, sys.getallocatedblocks() - blocks < 50)
"""
    assert output(BEGINNING + program) == "True True\n"


@needs_immortals
def test_lazy_objects_stay_lazy() -> None:
    """No code of the application's proxies runs."""
    program = """
class Lazy:
    @property
    def __class__(self): print("touched")
    @property
    def __dict__(self): print("touched")
    def __getattr__(self, name): print("touched")
    def __eq__(self, other): print("touched")
    def __hash__(self): print("touched")
lazy = Lazy()
print(immortal.apply() > 1000, sys.getrefcount(lazy) == IMMORTAL)
"""
    assert output(BEGINNING + program) == "True True\n"
