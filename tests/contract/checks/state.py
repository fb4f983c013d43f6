# SPDX-License-Identifier: MIT
"""Promises 1 to 4: however a request ends, the next finds the state it would have found before.

For each promise one check shows that every act is visible where it is done, so that the second,
which looks for its traces in the next request, can fail.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING

from tests.contract.checks.asking import differences, is_closed, same_worker, state, waiting
from tests.contract.checks.ways import PRETENDED, act, is_sighted, keep_the_worker
from tests.harness import processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness import Gateway

# One of each kind. The slow one, `stuck_in_python`, costs the gateway's timeout.
ENDS = (
    "goes_on", "exception", "sys_exit", "os_exit", "abort", "segfault", "segfault_with_lock",
    "crash_in_malloc", "stack_overflow", "memory_limit", "kill", "stuck_in_python",
)  # fmt: skip

_MEMORY = (
    "leak_globals", "spoil_c_memory", "give_pages_back", "give_file_pages_back", "fill_wiped",
    "rewrite_code", "spoil_thread_local", "round_upward", "move_gs",
)  # fmt: skip
_MAPPINGS = (
    "map_more", "unmap", "unmap_shared", "protect", "unprotect", "grow", "map_file_over", "deepen_stack",
    "raise_and_lower_break", "load_library",
)  # fmt: skip
_DESCRIPTORS = (
    "open_file", "open_kinds", "receive_descriptor", "duplicate", "replace_file", "seek",
    "change_flags", "inherit", "lock_file", "lock_record",
)  # fmt: skip
_ATTRIBUTES = (
    "change_directory", "lower_limits", "change_priority", "change_signals", "set_timers",
    "change_flags_of_process", "filter_calls", "unshare_namespaces", "place_memory", "lock_memory",
    "new_group", "forbid_write_and_execute", "merge_pages",
    "register_membarrier", "filter_core_dumps", "change_user",
)  # fmt: skip
_UNSEEN = frozenset({"deepen_stack"})
"""What need not show: the stack may be that deep already."""

_SYS_KCMP, _KCMP_FILE = 312, 0


def _shows(gateway: Gateway, part: str, acts: Sequence[str]) -> None:
    hidden = _UNSEEN | (PRETENDED if is_sighted(gateway) else frozenset())
    before = state(gateway)[part]
    for name in acts:
        answer = act(gateway, [name], look=part)[0].json()
        shows = not answer["done"] or differences(before, answer["seen"])
        assert shows or name in hidden, f"{name} leaves no trace"


def _is_undone(
    gateway: Gateway, part: str, acts: Sequence[str], ends: Sequence[str] = ENDS
) -> None:
    acts = keep_the_worker(gateway, acts)
    before = state(gateway)
    for end in ends:
        answer = act(gateway, acts, end)[0]
        # One that closes everything has no way left to answer.
        assert end != "goes_on" or ends != ENDS or answer.status == 200, "not all of it was done"
        after = state(gateway)
        found = differences(before[part], after[part])
        assert not found, f"after {end}: {found}"
        same_worker(gateway, before, after)


def memory_can_be_spoiled(gateway: Gateway) -> None:
    """Each act on memory is seen by the request that does it."""
    _shows(gateway, "memory", _MEMORY)


def memory_is_restored(gateway: Gateway) -> None:
    """Objects, C globals, heap, pages given back, thread-local storage, rounding mode, GS base."""
    _is_undone(gateway, "memory", _MEMORY)


def memory_wiped_on_fork_is_wiped(gateway: Gateway) -> None:
    """What is to be zero in a child (MADV_WIPEONFORK) is zero in every request, used or not."""
    for end in ("goes_on", "abort", "goes_on"):
        assert state(gateway)["memory"]["not wiped"] is False
        act(gateway, ["fill_wiped"], end)
    assert state(gateway)["memory"]["not wiped"] is False


def registers_are_restored(gateway: Gateway) -> None:
    """No vector register holds what an earlier request put there."""
    act(gateway, ["fill_registers"])
    assert gateway.get("/registers").json() is False
    act(gateway, ["fill_registers"], "abort")
    assert gateway.get("/registers").json() is False


def mappings_can_be_spoiled(gateway: Gateway) -> None:
    """Each act on mappings is seen by the request that does it."""
    _shows(gateway, "mappings", _MAPPINGS)


def mappings_are_restored(gateway: Gateway) -> None:
    """The mappings are the same, line by line, and so is the break."""
    _is_undone(gateway, "mappings", _MAPPINGS)


def descriptors_can_be_spoiled(gateway: Gateway) -> None:
    """Each act on descriptors is seen by the request that does it."""
    _shows(gateway, "descriptors", (*_DESCRIPTORS, "close_file"))


def descriptors_are_restored(gateway: Gateway) -> None:
    """Descriptors, their offsets and flags are the same; locks are free."""
    _is_undone(gateway, "descriptors", _DESCRIPTORS)


def closed_descriptors_are_back(gateway: Gateway) -> None:
    """What a request closed, the next has; even where it closed everything there was."""
    _is_undone(gateway, "descriptors", ["close_file"], ["goes_on", "kill"])
    for everything in ("close_everything", "close_each", "replace_everything"):
        _is_undone(gateway, "descriptors", [everything], ["goes_on", "exception", "abort"])


def _same_file(one: int, other: int, descriptor: int) -> bool:
    """kcmp(2): do two processes share an open file description?"""
    kcmp = ctypes.CDLL(None, use_errno=True).syscall
    result = kcmp(_SYS_KCMP, one, other, _KCMP_FILE, descriptor, descriptor)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return bool(result == 0)


def _parent(pid: int) -> int:
    process = processes.look(pid)
    assert process
    return process.parent


def files_are_shared_with_nobody(gateway: Gateway) -> None:
    """A file open in the snapshot has an offset of its own in every process that serves."""
    with gateway.another(options={"workers": 2}) as pair:
        table = state(pair)["descriptors"]["table"]
        data = str(pair.folder / "data.txt")
        files = [int(number) for number, entry in table.items() if entry["is"] == data]
        assert len(files) == 2, table
        with waiting(pair) as request:
            others = {pair.snapshot(), *pair.workers()}
            # Their worker is no other: they share what they have, and it is put back.
            if pair.engine in ("rewind", "lwc"):
                others.discard(_parent(request.pid))
            shared = [(o, f) for o in others for f in files if _same_file(request.pid, o, f)]
    assert not shared, f"(process, descriptor) shared with a context: {shared}"


def attributes_can_be_spoiled(gateway: Gateway) -> None:
    """Each act on the process's attributes is seen by the request that does it."""
    _shows(gateway, "attributes", _ATTRIBUTES)


def attributes_are_restored(gateway: Gateway) -> None:
    """Directory, umask, credentials, limits, priorities, signals, timers, flags."""
    _is_undone(gateway, "attributes", _ATTRIBUTES)


def attributes_are_the_applications(gateway: Gateway) -> None:
    """Signal mask, handlers and dumpable flag are those of a plain Python, not the root's."""
    seen = state(gateway)["attributes"]
    assert int(seen["status"]["SigBlk"], 16) == 0
    assert int(seen["status"]["SigPnd"], 16) == 0
    assert seen["flags"]["dumpable"] == int(not is_closed(gateway))
    handlers = seen["handlers"]
    assert "default_int_handler" in handlers[str(int(signal.SIGINT))]
    assert "SIG_IGN" in handlers[str(int(signal.SIGPIPE))]
    assert "SIG_DFL" in handlers[str(int(signal.SIGTERM))]


def root_directory_is_restored(gateway: Gateway) -> None:
    """A request that changed its root directory leaves the next one's alone."""
    before = state(gateway)
    answer = act(gateway, ["change_root"])[0].json()
    is_root = os.geteuid() == 0 and "user" not in gateway.options
    assert answer["done"] == (["change_root"] if is_root else [])
    after = state(gateway)
    assert not differences(before["attributes"], after["attributes"])
    same_worker(gateway, before, after)


MEMORY = (
    memory_can_be_spoiled,
    memory_is_restored,
    memory_wiped_on_fork_is_wiped,
    registers_are_restored,
)
MAPPINGS = (mappings_can_be_spoiled, mappings_are_restored)
DESCRIPTORS = (
    descriptors_can_be_spoiled,
    descriptors_are_restored,
    closed_descriptors_are_back,
    files_are_shared_with_nobody,
)
ATTRIBUTES = (
    attributes_can_be_spoiled,
    attributes_are_restored,
    attributes_are_the_applications,
    root_directory_is_restored,
)
