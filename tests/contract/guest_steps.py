# SPDX-License-Identifier: MIT
"""The steps of engines that need the kernel module, each with the check that misses it.

tests/vm/test_engine.py has test_mutations.py run with them in a guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.checks import (
    asking,
    attacks,
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

if TYPE_CHECKING:
    from tests.contract.checks import Check
    from tests.harness import Gateway


def _undoes(gateway: Gateway, *acts: str) -> None:
    """Each alone: another may end the task by itself, and so does what --verify finds."""
    with gateway.another(options={"verify": False}) as other:
        before = asking.state(other)["attributes"]
        for act in acts:
            ways.act(other, [act])
            found = asking.differences(before, asking.state(other)["attributes"])
            assert not found, f"after {act}: {found}"


def a_directory_is_restored(gateway: Gateway) -> None:
    """What a noted call has changed is undone."""
    _undoes(gateway, "change_directory")


def what_is_written_is_restored(gateway: Gateway) -> None:
    """What no noted call shows is undone, too: writes to files of /proc/self."""
    _undoes(gateway, "write_name", "write_timer_slack", "write_oom_score")


IN_A_GUEST: dict[str, dict[str, Check]] = {
    "lwc": {
        "STEP_WIPE_REQUEST": residue.an_answered_request_is_gone,
        "STEP_HIDE_KEEP": separation.the_keep_is_not_inherited,
        "STEP_CLOSE_ROOT_FDS": separation.a_context_holds_nothing_of_the_root,
        "STEP_RESTORE_MASK": state.attributes_are_the_applications,
        "STEP_RESTORE_DUMPABLE": state.attributes_are_the_applications,
        "STEP_DIE_WITH_ROOT": containment.a_context_dies_with_its_worker,
        "STEP_OWN_GROUP": hostile.a_signal_to_its_group_stays_inside,
        "STEP_KILL_LEFTOVERS": leftovers.no_task_is_left,
        "STEP_HIDE_ROOT": separation.the_root_cannot_be_read,
        "STEP_RESET_WORKER": state.descriptors_are_restored,
        "STEP_NOTE_CALLS": a_directory_is_restored,
        "STEP_COMPARE_PROC": what_is_written_is_restored,
        "STEP_DENY_FILTERS": hostile.calls_of_the_root_are_not_filtered,
        "STEP_RESTORE_SHARED": state.descriptors_are_restored,
        "STEP_END_OFFSPRING": hostile.switches_that_cannot_be_meant,
        "STEP_CHECK_CALLER": hostile.switches_that_cannot_be_meant,
        "STEP_CHECK_LENGTH": hostile.switches_that_cannot_be_meant,
        "STEP_CHECK_BLOCK": hostile.switches_that_cannot_be_meant,
        "lwcgi.renew:renew": uniqueness.nothing_is_drawn_twice,
        "lwcgi.forkhooks:run": uniqueness.fork_hooks_have_run,
    },
    "lwc-hostile": {
        "STEP_CONFINE": neighbours.neighbours_cannot_be_reached,
        "STEP_KILL_DETACHED": neighbours.a_detached_child_is_ended,
        "STEP_REOPEN_FILES": attacks.what_was_handed_on_shows_nothing,
        "STEP_RENEW_WORKER": attacks.what_was_handed_on_shows_nothing,
        "STEP_RENEW_EXCHANGE": attacks.what_was_handed_on_shows_nothing,
        "STEP_JUDGE_TASKS": attacks.nothing_runs_beside_the_root,
        "STEP_HIDE_WORKER": attacks.a_process_with_a_root_is_closed,
    },
}
"""By variant."""
