# SPDX-License-Identifier: MIT
"""How the engine `rewind` undid a request, as its log says, and how it should have.

Each act of tests.apps.mess and each end of tests.apps.ends has its cheapest way here; a request
takes the dearest of what it does. The other engines know one way only, and are not asked.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.harness import Answer, Gateway

IN_PLACE = "in place"
NEW_TASK = "with a new task"
ENDED = "after its process ended"
REPLACED = "by a new worker"
WAYS = (IN_PLACE, NEW_TASK, ENDED, REPLACED)
"""From the cheapest to the dearest."""

ACTS = dict.fromkeys(
    (
        "leak_globals", "spoil_c_memory", "give_pages_back", "spoil_thread_local", "round_upward",
        "move_gs", "fill_registers", "lock_memory",

        "map_more", "unmap", "unmap_a_part", "unmap_shared", "protect", "unprotect", "grow", "map_over",
        "map_file_over", "free_large_block", "load_library", "move_break",
        "raise_and_lower_break", "lower_break", "deepen_stack", "free_pages",
        "give_file_pages_back", "fill_wiped", "rewrite_code", "name_mapping", "hint",
        "guard_file_pages",
        "lock_everything", "lock_future",

        "open_file", "open_hundreds", "open_kinds", "receive_descriptor", "duplicate",
        "close_file", "close_and_open", "replace_file", "replace_everything", "close_everything",
        "close_each", "inherit", "seek", "read_on", "read_directory", "change_flags",
        "want_signals", "lock_file", "lock_record", "lock_as_process",

        "block_signals", "handle_sigsys", "change_alternate_stack",
    ), IN_PLACE
) | dict.fromkeys(
    # They change the task, start another, or cannot be followed.
    (
        "change_directory", "change_root", "lower_limits", "change_priority", "change_signals",
        "set_timers", "change_flags_of_process", "filter_calls", "unshare_namespaces",
        "place_memory", "hop_processors", "new_group", "change_user",
        "change_user_only",

        "poke_data", "poke_code",

        "leave_thread", "leave_child", "leave_stubborn_child", "leave_stopped_child",
        "leave_orphan", "leave_zombie", "leave_program", "detach", "leave_sharing_task",
        "fork_and_wait", "vfork_and_wait", "spawn_program", "run_program", "run_shell",
        "join_thread", "handle_signal", "use_faulthandler", "start_watchdog", "alarm_in_sleep",
        "alarm_in_read", "alarm_in_wait", "write_name", "write_timer_slack",
    ), NEW_TASK
) | dict.fromkeys(
    # They change memory as a whole for good, or behind everybody's back.
    (
        "map_over_shared", "not_inherited", "file_not_inherited", "guard_pages", "seal_mapping",
        "forbid_write_and_execute", "merge_pages", "register_membarrier", "set_up_io",
        "take_protection_key", "map_execute_only", "filter_core_dumps", "write_oom_score",
    ), REPLACED
)  # fmt: skip

_RETURNS = ("goes_on", "exception", "sys_exit", "recursion", "memory_limit")
"""All other ends are the end of the process."""

NOT_FOUND = frozenset(
    {
        "hint",
        "not_inherited",
        "file_not_inherited",
        "seal_mapping",
        "lock_everything",
        "guard_file_pages",
    }
)
"""Flags of a mapping that show in neither its extent nor its protection: where the call is not
seen they stay, as docs/fresh-state.md says, and --verify finds them. And two calls with which the
kernel may be busy for ever where nobody answers in its place."""

_OUT_OF_SIGHT = {"unmap_shared": REPLACED}
"""Where system calls are not seen it is too late to pretend; all others take a new task at least."""

PRETENDED = frozenset(
    {
        "unmap", "unmap_a_part", "unmap_shared", "name_mapping", "hint", "lock_memory",
        "lock_everything", "lock_future",
    }
)  # fmt: skip
"""What the request is told was done: it cannot see the difference, the root need not undo it."""

_LINE = re.compile(
    r": undone (?P<way>" + "|".join(WAYS) + r")(?: after call (?P<call>\d+))?, "
    r"(?P<copied>\d+) pages copied, (?P<found>\d+) found by a scan, (?P<calls>\d+) calls seen$"
)


@dataclass(frozen=True)
class Undone:
    """How one request was undone.

    Parameters:
        way: one of WAYS.
        call: number of the first system call that made it dearer than in place; None for none.
        copied: pages that were put back.
        found: … of which a scan found so many.
        calls: system calls that were seen.
    """

    way: str
    call: int | None
    copied: int
    found: int
    calls: int


def is_sighted(gateway: Gateway) -> bool:
    """Tell whether the engine sees what requests ask of the kernel."""
    return gateway.engine == "rewind" and not gateway.options.get("no-dispatch")


def expected(gateway: Gateway, acts: Collection[str], end: str = "goes_on") -> str:
    """Return the way that a request with these acts and this end should take."""
    ways = [IN_PLACE if end in _RETURNS else ENDED, *(ACTS[act] for act in acts)]
    if not is_sighted(gateway):
        ways += [NEW_TASK, *(_OUT_OF_SIGHT[act] for act in acts if act in _OUT_OF_SIGHT)]
    return max(ways, key=WAYS.index)


def keep_the_worker(gateway: Gateway, acts: Iterable[str]) -> list[str]:
    """Return those of *acts* after which the same worker goes on."""
    return [a for a in acts if gateway.engine != "rewind" or expected(gateway, [a]) != REPLACED]


def undone(gateway: Gateway, mark: str) -> Undone:
    """Wait until the request with *mark* in its URI is undone, and return how."""
    (line,) = gateway.wait_for_log(rf"^.*\bmark={mark}\b.*: undone .*$")
    match = _LINE.search(line)
    assert match, f"what does this mean? {line}"
    numbers = {name: int(match[name]) for name in ("copied", "found", "calls")}
    return Undone(match["way"], int(match["call"]) if match["call"] else None, **numbers)


def act(
    gateway: Gateway, acts: Iterable[str], end: str = "goes_on", look: str = ""
) -> tuple[Answer, Undone | None]:
    """Have one request make a mess, look at a part of its state, and end.

    Returns its answer, and how it was undone, which must be as `expected`; None where the engine
    is another.
    """
    acts, mark = list(acts), uuid.uuid4().hex
    query = [f"mark={mark}", *(f"act={act}" for act in acts), f"end={end}"]
    answer = gateway.get("/do?" + "&".join(query + [f"look={look}"] * bool(look)))
    if gateway.engine != "rewind":
        return answer, None
    how = undone(gateway, mark)
    if answer.status == 200:
        acts = answer.json()["done"]
    assert how.way == expected(gateway, acts, end), f"{acts}, {end}: {how}\n{gateway.log()[-2000:]}"
    return answer, how
