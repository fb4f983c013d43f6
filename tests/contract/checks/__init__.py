# SPDX-License-Identifier: MIT
"""The checks by promise.

A check is a plain function that takes a running gateway with one worker and raises AssertionError
where the promise is broken, so that the same functions prove that a mutated gateway is caught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tests.contract.checks import (
    answers,
    attacks,
    containment,
    hostile,
    leftovers,
    neighbours,
    residue,
    separation,
    state,
    uniqueness,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.harness import Gateway

    Check: TypeAlias = Callable[[Gateway], None]

CHECKS: Mapping[int | str, Sequence[Check]] = {
    1: state.MEMORY,
    2: state.MAPPINGS,
    3: state.DESCRIPTORS,
    4: state.ATTRIBUTES,
    5: leftovers.CHECKS,
    6: uniqueness.CHECKS,
    7: answers.CHECKS,
    8: containment.CHECKS,
    9: residue.CHECKS,
    "separation": separation.CHECKS,
    "signals": hostile.GROUP,
    "channel": hostile.CHANNEL,
    "switches": hostile.SWITCHES,
    "neighbours": neighbours.CHECKS,
    "attacks": attacks.CHECKS,
    # What takes the place of separation where a context shares memory and table with its root.
    "shared memory": (
        *leftovers.SHARED_MEMORY,
        *separation.SHARED_TABLE,
    ),
}
