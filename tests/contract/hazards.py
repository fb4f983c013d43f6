# SPDX-License-Identifier: MIT
"""What can go wrong where requests share the memory of their worker, and what proves it does not.

Each hazard was met once. A proof is an act or an end, tried alone by test_ways.py and mixed by
the checks of the promises, with and without sight of system calls, or a test by its place.
"""

from __future__ import annotations

HAZARDS: dict[str, tuple[str, ...]] = {
    "the root's table still holds a pipe that a child reads to its end": (
        "act run_program", "act run_shell", "act leave_program",
    ),
    "the kernel writes the processor's number into the image (rseq)": (
        "act hop_processors",
    ),
    "a large block of the snapshot is given back, and something else is mapped there": (
        "act free_large_block", "act unmap", "act unmap_a_part",
    ),
    "the root is killed, and its children go on without it": (
        "tests/contract/checks/containment.py::a_context_dies_with_its_worker",
        "tests/gateway/test_rewind.py::test_a_request_without_rights_dies_with_its_worker",
        "tests/gateway/test_rewind.py::test_a_killed_copy_is_replaced_with_its_worker",
        "tests/gateway/test_rewind.py::test_a_killed_copy_costs_a_request_no_answer",
    ),
    "MADV_FREE takes effect when nobody looks": ("act free_pages",),
    "pages that were given back are not there to be found": (
        "act give_pages_back", "act give_file_pages_back",
    ),
    "the connection's own descriptor is closed or becomes another file": (
        "act replace_everything", "act close_everything", "act close_each",
        "tests/contract/checks/separation.py::the_roots_descriptors_are_none",
    ),
    "a forked child returns from the application, too": (
        "tests/contract/checks/answers.py::one_answer_from_two_processes",
    ),
    "memory that is not writable is written": (
        "act poke_code", "act poke_data", "act rewrite_code",
    ),
    "a change of credentials makes the shared memory undumpable": (
        "act change_user", "act change_user_only", "act change_flags_of_process",
        "tests/gateway/test_rewind.py::test_without_privileges",
    ),
    "what the kernel keeps for a memory as a whole": (
        "act lock_memory", "act lock_everything", "act lock_future", "act merge_pages",
        "act forbid_write_and_execute", "act register_membarrier", "act set_up_io",
        "act take_protection_key", "act map_execute_only", "act filter_core_dumps",
        "act write_oom_score",
        "act seal_mapping",
        "act not_inherited", "act file_not_inherited", "act hint", "act guard_pages", "act guard_file_pages",
        "act name_mapping",
    ),
    "the signal by which system calls are seen is blocked, handled, or finds too small a stack": (
        "act block_signals", "act handle_sigsys", "act change_alternate_stack",
        "act use_faulthandler",
        "tests/gateway/test_rewind.py::test_an_application_that_handles_sigsys",
    ),
    "a return from a handler is a system call": ("act handle_signal",),
    "a signal must interrupt a call that waits": (
        "act alarm_in_sleep", "act alarm_in_read", "act alarm_in_wait",
    ),
    "the stack grows without a system call": ("act deepen_stack", "end stack_overflow"),
    "threads of the snapshot, whose writes nobody counts": (
        "tests/unit/test_gate_threads.py::test_native_threads_are_only_counted",
        "tests/gateway/test_rewind.py::test_native_threads",
    ),
    "another mapping takes the place of one and looks the same": (
        "act map_over", "act map_file_over", "act map_over_shared",
    ),
    "a shared mapping of the snapshot is unmapped": ("act unmap_shared",),
    "the process becomes another program": ("end become_program", "end become_sleeper"),
    "warm-up requests change the snapshot itself": (
        "tests/gateway/test_rewind.py::test_a_thread_of_the_warm_up_is_found",
    ),
    "a task that shares memory detaches itself, and writes on": (
        "tests/contract/checks/leftovers.py::a_task_that_shares_memory_is_ended",
    ),
    "the serving process is killed in its undo, its renewal, or while it accepts": (
        "tests/gateway/test_rewind.py::test_kills_at_any_moment",
    ),
    "memory that is wiped on fork, where nobody forks": (
        "tests/contract/checks/state.py::memory_wiped_on_fork_is_wiped",
    ),
    "randomness repeats where memory does": (
        "tests/gateway/test_rewind_unique.py::test_nothing_is_drawn_twice",
    ),
}  # fmt: skip
