# SPDX-License-Identifier: MIT
"""The language of the random programs, and the little model that says what one must come to.

A program is a list of [act, a, b] as tests.apps.torture takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Program: TypeAlias = "list[list[str | int]]"

ANSWERED, FAILED, CUT, UNSURE = "answered", "failed", "cut off", "unsure"

MOST_ACTS = 12
# These wait for the gateway's limit of time.
_SLOW = ("stuck_in_python", "stuck_in_c", "stuck_deaf", "stopped", "become_sleeper", "leader_exits")
# Ends that a signal brings, and a mask or a handler may keep away.
_BY_SIGNAL = ("terminate", "kill_group", "floating_point", "illegal_instruction")


def programs(kinds: Mapping[str, str], without: Collection[str]) -> st.SearchStrategy[Program]:
    """Return a strategy for programs.

    Parameters:
        kinds: of each act and end, as the application tells them.
        without: acts to leave out.
    """
    acts = sorted(name for name, kind in kinds.items() if kind != "end" and name not in without)
    ends = sorted(name for name, kind in kinds.items() if kind == "end")
    quick = [end for end in ends if end not in _SLOW]
    number = st.integers(0, 31)
    steps = st.lists(
        st.tuples(st.sampled_from(acts), number, number).map(list), max_size=MOST_ACTS
    )  # fmt: skip
    end = st.tuples(st.sampled_from(quick * 20 + list(_SLOW)), st.integers(0, 2), st.just(0))
    ending = st.one_of(st.just([]), st.just([]), end.map(lambda one: [list(one)]))
    return st.builds(lambda body, last: [*body, *last], steps, ending)


def comes_to(program: Program, kinds: Mapping[str, str], sighted: bool) -> str:
    """Return what the client must see: ANSWERED, FAILED, CUT, or UNSURE.

    Parameters:
        program: it.
        kinds: as above.
        sighted: the engine sees system calls and refuses those that would do it harm, for as
            long as the context shares the root's descriptors. Elsewhere the context holds a
            descriptor its answer depends on, and may close it.
    """
    masked = False
    for name, when, _ in program:
        kind = kinds[str(name)]
        if kind == "doubtful" or (not sighted and kind in ("robbing", "breaking")):
            return UNSURE
        sighted = sighted and kind != "parting"
        masked = masked or kind == "masking"
        if kind == "end":
            if masked and name in _BY_SIGNAL:
                return UNSURE
            return (FAILED, CUT, ANSWERED)[int(when) % 3]
    return ANSWERED
