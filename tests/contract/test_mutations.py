# SPDX-License-Identifier: MIT
"""Each step of the clean-up is needed: without it, the check named here fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import mutants, promises
from tests.contract.checks import (
    answers,
    containment,
    hostile,
    leftovers,
    residue,
    separation,
    state,
    uniqueness,
)
from tests.harness import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.checks import Check

CAUGHT_BY: dict[str, Check] = {
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
}

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
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose core can leave steps out."""
    return mutants.build(tmp_path_factory.mktemp("mutants"))


def test_every_step_of_the_core_is_tried() -> None:
    """No step of step.h is missing here."""
    assert set(mutants.STEPS) <= set(CAUGHT_BY)


@pytest.mark.parametrize("step", CAUGHT_BY)
def test_check_passes_with_the_step(core: Path, step: str) -> None:
    """With nothing left out the check holds, also in the build that stops at undefined behaviour."""
    with mutants.start(core, "") as gateway:
        CAUGHT_BY[step](gateway)


@pytest.mark.parametrize("step", CAUGHT_BY)
def test_check_fails_without_the_step(
    core: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the step left out the check does not hold."""
    monkeypatch.setattr(waiting, "patience", 5.0)
    with mutants.start(core, step) as gateway, pytest.raises((AssertionError, TimeoutError)):
        CAUGHT_BY[step](gateway)


@pytest.mark.parametrize("check", NEEDS_A_FRESH_CONTEXT)
def test_check_fails_in_a_context_that_goes_on(check: Check) -> None:
    """Where contexts are not thrown away, state carries over and the check sees it."""
    with promises.start("none") as gateway, pytest.raises(AssertionError):
        check(gateway)
