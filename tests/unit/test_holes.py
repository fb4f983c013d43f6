# SPDX-License-Identifier: MIT
"""Memory before freezing: no holes for a request to write to, and room at the end."""

from __future__ import annotations

import pytest

from lwcgi import holes
from tests.unit.programs import output

# An application whose memory is full of holes, of every size.
BEGINNING = """
from lwcgi import _core, holes

ROOM = holes.MALLOC_ROOM

def blocks(size, count):
    return [bytes(size - 33) for _ in range(count)]

def pages(items):
    ends = [address for item in items for address in (id(item), id(item) + len(item) + 32)]
    return len({end >> 12 for end in ends})

kept = [block for size in range(48, 2000, 48) for block in blocks(size, 900)]
del kept[::9]
"""


@pytest.mark.parametrize(("size", "most"), [(64, 6), (240, 14), (480, 27), (1200, 63), (1900, 97)])
def test_new_blocks_lie_together(size: int, most: int) -> None:
    """200 blocks take as few pages as they can, and two; without filling they take many more."""
    program = f"print(pages(blocks({size}, 200)), end=' ')\n"
    without = int(output(BEGINNING + program))
    filled = int(output(f"{BEGINNING}holes.make_room(ROOM); holes.fill(ROOM)\n{program}"))
    assert filled <= most < without


def test_what_it_takes_is_bounded() -> None:
    """No more than MOST_BYTES of each allocator's; what is filled is not filled again."""
    holey = "kept = blocks(64, 600_000)[::2] + blocks(3000, 20_000)[::2]\n"
    most = 2 * holes.MOST_BYTES
    assert most <= int(output(f"{BEGINNING}{holey}holes.make_room(ROOM); print(holes.fill(ROOM))"))
    first, second = output(
        f"{BEGINNING}holes.make_room(ROOM); print(holes.fill(ROOM), holes.fill(ROOM))"
    ).split()
    assert int(second) < 100_000 < int(first) < most


@pytest.mark.parametrize("allocator", ["malloc", "pymalloc_debug", "malloc_debug"])
def test_other_allocators_are_left_alone(allocator: str) -> None:
    """Where Python's small blocks are not pymalloc's, none is filled."""
    program = "from lwcgi._core import lib; print(lib.lw_fill_pymalloc(1 << 20))"
    assert output(program, PYTHONMALLOC=allocator) == "0\n"


@pytest.mark.parametrize(
    ("size", "count"), [(60_000, 20), (1 << 20, 3), (15 << 20, 1), (64, 20_000), (500, 2_500)]
)
def test_there_is_room(size: int, count: int) -> None:
    """What a request usually allocates, large or small, needs no mapping, nor more heap."""
    program = f"""
held = [None] * {count}

def request():
    for index in range({count}):
        held[index] = bytes({size} - 33)

def maps():
    with open("/proc/self/maps") as file:
        return file.read()

maps()
holes.make_room(ROOM)
holes.fill(ROOM)
before = maps()
request()
print(before == maps())
"""
    assert output(BEGINNING + program) == "True\n"
    assert (
        output(BEGINNING + program.replace("holes.make_room(ROOM)\nholes.fill(ROOM)\n", ""))
        == "False\n"
    )


def test_room_is_part_of_what_a_request_may_add() -> None:
    """Under a limit on a request's memory there is no more room than that."""
    assert holes.malloc_room(0) == holes.MALLOC_ROOM
    assert holes.malloc_room(1 << 40) == holes.MALLOC_ROOM
    assert holes.malloc_room(12345) == 12345
