# SPDX-License-Identifier: MIT
"""Which C tests fail when a step of the module's clean-up is left out.

A build with LWC_MUTATIONS has the module parameter ``leave_out``. Each step that it can leave
out, ``leave_out("name")`` in the sources, has an entry here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A step, and how its absence shows.

    Parameters:
        tests: names of C tests; at least one has to fail.
        own_boot: whether the kernel is not to be trusted afterwards. It then gets a machine of its
            own, and a complaint of the kernel counts as well as a failed test.
        series: of kernels in which the step is needed, if not in all.
    """

    tests: tuple[str, ...]
    own_boot: bool = False
    series: str = ""


MUTATIONS: dict[str, Mutation] = {
    # rights and lifetimes
    "owner_check": Mutation(("fork_gives_no_rights", "threads_have_their_own"), own_boot=True),
    "tracer_check": Mutation(
        (
            "tracers_do_not_gain_rights",
            "tracers_do_not_gain_rights_by_refused_calls",
            "overlay_gives_tracers_nothing",
        )
    ),
    "enter_check": Mutation(("siblings_are_closed", "grandchildren_are_not_children")),
    "access_check": Mutation(("access_must_be_given", "masks_are_no_rights")),
    "same_rights": Mutation(("same_rights_are_to_enter",)),
    "adopt_clears_access": Mutation(("orphans_reach_nobody",)),
    "adopt_clears_return": Mutation(("orphans_may_not_return",)),
    "stale_on_close": Mutation(("close_destroys",), own_boot=True),
    "destroy_files": Mutation(("destroyed_descriptors_are_closed",), own_boot=True),
    "destroy_mm": Mutation(("destroyed_memory_is_freed",), own_boot=True),
    "exit_teardown": Mutation(("exit_in_any_lwc", "thread_ends_in_any_lwc"), own_boot=True),
    "exec_teardown": Mutation(("exec_ends_the_lwcs",)),
    # what an lwC was not given
    "create_unmap": Mutation(
        ("attack_by_proc_mem", "attack_by_system_calls", "attack_by_core_dump", "attack_by_peeking")
    ),
    "tracer_dumpable": Mutation(("attack_by_a_tracer",)),
    "syscall_tracer": Mutation(("attack_by_a_tracer_of_calls",)),
    "overlay_tracer": Mutation(("attack_by_a_tracer_of_overlays",)),
    # system calls that are refused
    "trap_state": Mutation(("trap_of_state_that_cannot_be_carried",)),
    "trap_skip": Mutation(("trap_refused_calls_do_not_run",)),
    "trap_always": Mutation(("trap_always_refused", "attack_by_way_of_a_thread")),
    "trap_compat": Mutation(("trap_of_the_other_entry", "escape_by_a_segment")),
    "trap_nested": Mutation(("escape_by_a_new_lwc",)),
    "trap_inherited": Mutation(
        ("trap_nested", "escape_by_a_worker", "escape_by_losing_the_creator")
    ),
    "trap_once": Mutation(("trap_let_through_once",)),
    "trap_once_nested": Mutation(("escape_by_letting_through",)),
    "trap_creator": Mutation(("trap_is_the_creators",)),
    "trap_forged": Mutation(("trap_cannot_be_forged",)),
    "syscall_trap": Mutation(("syscall_past_no_trap",)),
    "syscall_seccomp": Mutation(("syscall_past_no_filter",)),
    # lwCs of several threads
    "owner_on_entry": Mutation(("charges_after_the_maker",)),
    "owner_passes": Mutation(("charges_while_the_maker_ends",)),
    "syscall_dumpable": Mutation(("syscall_keeps_the_caller_hidden",)),
    "syscall_table": Mutation(("syscall_unshares_the_table",), own_boot=True),
    "doom_others": Mutation(("threads_destroy_for_all",), own_boot=True),
    "doom_reap": Mutation(("threads_destroyed_go_at_once",), own_boot=True),
    "doom_release": Mutation(("threads_asleep_hold_nothing",), own_boot=True),
    "exit_in_root": Mutation(("threads_that_exit_inside_are_joined",)),
    # what may be reached, and what an overlay must not touch
    "mask_check": Mutation(("masks_cannot_be_evaded", "restrict_narrows")),
    "restrict_check": Mutation(("restrict_never_widens", "masks_cannot_be_evaded")),
    "overlay_stack": Mutation(("overlay_of_the_stack",)),
    "overlay_of_snapshots": Mutation(("overlay_of_snapshots",)),
    "overlay_split": Mutation(("overlay_of_huge_pages",), own_boot=True),
    "overlay_flush": Mutation(("overlay_of_memory_in_use",)),
    # what a switch exchanges
    "switch_files": Mutation(("copied_tables_are_separate",), own_boot=True),
    "switch_creds": Mutation(("users_are_separate",)),
    "switch_fpu": Mutation(("vectors_are_kept",)),
    "switch_fsgs": Mutation(("gs_base_is_kept", "fs_base_is_kept")),
    "switch_pkru": Mutation(("protection_keys_are_kept",)),
    "switch_mask": Mutation(("masks_are_kept",)),
    "switch_restart": Mutation(("escape_by_restarting",)),
    "switch_altstack": Mutation(("alternate_stacks_are_kept",)),
    "switch_tid": Mutation(("attack_clear_child_tid",)),
    "switch_robust": Mutation(("attack_robust_list",)),
    "switch_rseq_area": Mutation(("attack_rseq",)),
    # Later kernels do it with the number of the concurrent thread (mm_cid).
    "switch_rseq": Mutation(("rseq_knows_the_processor",), series="6.1"),
    # what a reset puts back
    "reset_page": Mutation(("reset_data",)),
    "reset_event_page": Mutation(("reset_data",)),
    "reset_held": Mutation(("reset_page_held_by_a_pipe",)),
    "reset_zero": Mutation(("reset_holes",)),
    "reset_mapping_added": Mutation(("reset_new_mappings",)),
    "reset_mapping_removed": Mutation(("reset_removed_mappings",)),
    "reset_brk": Mutation(("reset_break",)),
    "reset_attributes": Mutation(("reset_attributes",)),
    "reset_files": Mutation(("reset_descriptors", "reset_releases_locks")),
    "reset_creds": Mutation(("reset_credentials",)),
    "reset_own_creds": Mutation(("reset_overlaid_credentials",)),
    "reset_cpu": Mutation(("resets_begin_anew",)),
    "reset_fpu": Mutation(("reset_vectors",)),
    "reset_pkru": Mutation(("reset_protection_keys",)),
    "reset_fsgs": Mutation(("reset_segment_bases",)),
    "reset_mask": Mutation(("reset_signal_mask",)),
    "reset_altstack": Mutation(("reset_alternate_stack",)),
    "reset_addresses": Mutation(("reset_addresses",)),
    "reset_threads": Mutation(("reset_ends_running_threads", "reset_ends_waiting_threads")),
}
