# SPDX-License-Identifier: MIT
"""Each step of the clean-up is needed: without it, the check named here fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract import mutants, promises
from tests.contract.checks import (
    answers,
    containment,
    hostile,
    leftovers,
    neighbours,
    residue,
    separation,
    state,
    uniqueness,
    ways,
)
from tests.contract.guest_steps import IN_A_GUEST
from tests.harness import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.checks import Check

CAUGHT_BY: dict[str, dict[str, Check]] = {
    "fork": {
        "STEP_WIPE_REQUEST": residue.an_answered_request_is_gone,
        "STEP_HIDE_KEEP": separation.the_keep_is_not_inherited,
        "STEP_CLOSE_ROOT_FDS": separation.a_context_holds_nothing_of_the_root,
        "STEP_REOPEN_FILES": state.descriptors_are_restored,
        "STEP_RESTORE_MASK": state.attributes_are_the_applications,
        "STEP_RESTORE_DUMPABLE": state.attributes_are_the_applications,
        "STEP_LIMIT_MEMORY": containment.memory_is_refused,
        "STEP_DIE_WITH_ROOT": containment.a_context_dies_with_its_worker,
        "STEP_OWN_GROUP": hostile.a_signal_to_its_group_stays_inside,
        "STEP_KILL_LEFTOVERS": leftovers.no_task_is_left,
        "STEP_ANSWER_CRASH": answers.before_headers,
        "STEP_BREAK_ANSWER": answers.in_the_middle,
        "STEP_CUT_CONNECTION": answers.before_headers,
        "STEP_TIME_LIMIT": containment.a_deaf_request_is_ended,
        "STEP_NOTICE_GONE": containment.a_client_that_leaves,
        "STEP_HIDE_ROOT": separation.the_root_cannot_be_read,
        "lwcgi.renew:renew": uniqueness.nothing_is_drawn_twice,
        "lwcgi._core:Core.after_fork_child": uniqueness.fork_hooks_have_run,
    },
    "fork-hostile": {
        "STEP_CONFINE": neighbours.neighbours_cannot_be_reached,
        "STEP_KILL_DETACHED": neighbours.a_detached_child_is_ended,
        "lwcgi.supervisor.crew:Crew._kill_orphans": neighbours.a_detached_child_is_ended_with_its_worker,
        "STEP_CLOSE_ROOT_FDS": separation.a_context_holds_nothing_of_the_root,
    },
    "rewind": {
        "STEP_WIPE_REQUEST": residue.an_answered_request_is_gone,
        "STEP_WIPE_SKIPPED": residue.a_body_that_came_late_is_out_of_sight,
        "STEP_RESTORE_MASK": state.attributes_are_the_applications,
        "STEP_DIE_WITH_ROOT": containment.a_context_dies_with_its_worker,
        "STEP_OWN_GROUP": hostile.a_signal_to_its_group_stays_inside,
        "STEP_KILL_LEFTOVERS": leftovers.no_task_is_left,
        "STEP_KILL_SHARING": leftovers.a_task_that_shares_memory_is_ended,
        "lwcgi.renew:renew": uniqueness.nothing_is_drawn_twice,
        "lwcgi.forkhooks:run": uniqueness.fork_hooks_have_run,
    },
}

_HERE = CAUGHT_BY | (IN_A_GUEST if promises.has_module() else {})

NAMED: dict[str, tuple[str, str]] = {
    "STEP_COPY_HOT": ("spoil_c_memory", "memory at 0x"),
    "STEP_FIND_NEW": ("spoil_c_memory", "memory at 0x"),
    "STEP_REFILL_DROPPED": ("give_file_pages_back", "memory at 0x"),
    "STEP_UNMAP_OWN": ("map_more", "mapping "),
    "STEP_RESTORE_PROTECTION": ("unprotect", "mapping "),
    "STEP_RESTORE_BREAK": ("move_break", "(attribute program break|mapping .*heap)"),
    "STEP_CLOSE_OPENED": ("open_file", "descriptor "),
    "STEP_RESTORE_SAVED": ("replace_file", "descriptor "),
    "STEP_RESTORE_OFFSET": ("seek", "descriptor .*offset"),
    "STEP_RESTORE_DUMPABLE": ("change_flags_of_process", "attribute (dumpable|THP|transparent)"),
}
"""Steps of `rewind` that --verify misses: after which act, and what it names."""

# Throwing the context away is the step that the `none` engine leaves out.
NEEDS_A_FRESH_CONTEXT: tuple[Check, ...] = (
    state.memory_is_restored,
    state.registers_are_restored,
    state.mappings_are_restored,
    state.descriptors_are_restored,
    state.closed_descriptors_are_back,
    state.attributes_are_restored,
    state.root_directory_is_restored,
    leftovers.no_task_is_left,
    residue.an_answered_request_is_gone,
)


@pytest.fixture(scope="module")
def core() -> Iterator[Path]:
    """A copy of the package whose core can leave steps out."""
    if made := os.environ.get("MUTANTS"):  # a guest would take minutes to compile it
        yield Path(made)
        return
    with mutants.built() as folder:
        yield folder


_CASES = [
    pytest.param(engine, step, id=f"{engine}-{step}")
    for engine, steps in _HERE.items()
    for step in steps
]


def test_every_step_of_the_core_is_tried() -> None:
    """No step of step.h is missing here."""
    tables = (NAMED, *CAUGHT_BY.values(), *IN_A_GUEST.values())
    assert set(mutants.STEPS) <= {step for table in tables for step in table}


@pytest.mark.parametrize("engine", _HERE)
def test_checks_pass_with_the_steps(
    core: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing left out the checks hold, also in a build that stops at undefined behaviour."""
    with mutants.start(core, "", engine) as gateway:
        # As long as without them: what is too slow for it would fail there for that alone.
        monkeypatch.setattr(waiting, "patience", waiting.patience / 4)
        for check in dict.fromkeys(_HERE[engine].values()):
            check(gateway)
        if engine == "rewind":
            for act, _ in NAMED.values():
                ways.act(gateway, [act])


@pytest.mark.parametrize(("engine", "step"), _CASES)
def test_check_fails_without_the_step(
    core: Path, engine: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the step left out the check does not hold."""
    with mutants.start(core, step, engine) as gateway:
        monkeypatch.setattr(waiting, "patience", waiting.patience / 4)
        with pytest.raises((AssertionError, TimeoutError)):
            _HERE[engine][step](gateway)


@pytest.mark.parametrize("step", NAMED)
def test_verify_names_what_the_step_would_have_undone(
    core: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the step left out, --verify stops the worker and says what differs."""
    monkeypatch.setattr(waiting, "patience", 5.0)
    act, what = NAMED[step]
    with mutants.start(core, step, "rewind") as gateway:
        gateway.get(f"/do?act={act}")
        gateway.wait_for_log(rf" ERROR verify: {what}")
        gateway.wait_for_log(r" WARNING worker 1 is replaced: ")


@pytest.mark.parametrize("check", NEEDS_A_FRESH_CONTEXT)
def test_check_fails_in_a_context_that_goes_on(check: Check) -> None:
    """Where contexts are not thrown away, state carries over and the check sees it."""
    with promises.start("none") as gateway, pytest.raises(AssertionError):
        check(gateway)
