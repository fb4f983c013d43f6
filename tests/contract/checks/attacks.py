# SPDX-License-Identifier: MIT
"""What a request may try at the level `hostile` on its root, and on the requests after it.

tests.apps.attacks has the attacks. What concerns other processes of the user is in `neighbours`,
descriptors of the root in `separation`, words that the root does not mean in `hostile`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from typing import TYPE_CHECKING

from tests.contract.checks.asking import differences, get, same_worker, state, written
from tests.contract.checks.ways import act

if TYPE_CHECKING:
    from tests.harness import Gateway

_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r")
_WINDOW = 1 << 20


def _take(gateway: Gateway) -> dict[str, int]:
    """Have a request hand over what it can; return the descriptors by name."""
    path = gateway.folder / uuid.uuid4().hex
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(1)
        answer = gateway.get(f"/hand_over?{path.name}")
        assert answer.status == 200, answer
        with listener.accept()[0] as connection:
            names, descriptors, _, _ = socket.recv_fds(connection, 1000, 10)
    return dict(zip(json.loads(names), descriptors, strict=True))


def _content(descriptor: int, limit: int = 1 << 30) -> bytes:
    pieces = []
    os.set_blocking(descriptor, False)
    try:
        while limit > 0 and (piece := os.read(descriptor, min(limit, _WINDOW))):
            pieces.append(piece)
            limit -= len(piece)
    except OSError:
        pass  # nothing more: an empty pipe, a page that is not there
    return b"".join(pieces)


def _memory(descriptor: int, mappings: str) -> bytes:
    found = []
    for start, end in ((int(m[1], 16), int(m[2], 16)) for m in _LINE.finditer(mappings)):
        try:
            os.lseek(descriptor, start, os.SEEK_SET)
        except OSError:
            continue
        found.append(_content(descriptor, end - start))
    return b"".join(found)


def what_was_handed_on_shows_nothing(gateway: Gateway) -> None:
    """Handles of one request's memory, files and pages, held outside, show nothing of the next."""
    taken = _take(gateway)
    try:
        assert "file" in taken  # something can be taken
        offset = os.lseek(taken["file"], 0, os.SEEK_CUR)
        assert act(gateway, ["read_on"])[0].json()["done"] == ["read_on"]
        assert os.lseek(taken["file"], 0, os.SEEK_CUR) == offset
        # While the next one runs: afterwards its bytes are wiped.
        gate = gateway.folder / uuid.uuid4().hex
        with gateway.connect() as connection:
            connection.send(get(f"/wait?{gate.name}"))
            written(gate.with_suffix(".started"))
            mappings = _content(taken["mappings"]).decode() if "mappings" in taken else ""
            pages = _content(taken["exchange"]) if "exchange" in taken else b""
            memory = _memory(taken["memory"], mappings) if "memory" in taken else b""
            gate.touch()
            assert connection.answer().status == 200
        assert not mappings, "the memory of a request lives on"
        assert gate.name.encode() not in pages + memory
    finally:
        for descriptor in taken.values():
            os.close(descriptor)


def nothing_runs_beside_the_root(gateway: Gateway) -> None:
    """Where a request shares a process with its root, it makes no task that shares it too."""
    before = state(gateway)
    everything = ["thread", "vfork", "sharing task", "shared descriptors"]
    assert gateway.get("/beside").json() == ([] if gateway.engine == "lwc" else everything)
    after = state(gateway)
    same_worker(gateway, before, after)
    assert not differences(before["tasks"], after["tasks"])


def a_process_with_a_root_is_closed(gateway: Gateway) -> None:
    """… and nobody is let into that process: not even a child of it, which may be its tracer."""
    if gateway.engine != "lwc":
        return
    with gateway.another(options={"isolate": "bug"}) as open_to_all:
        possible = set(open_to_all.get("/open_up").json())
    assert possible >= {"dumpable", "any tracer", "faults", "memory map"}
    assert gateway.get("/open_up").json() == []
    assert gateway.get("/from_child").json() == ["signal"]


def nothing_survives(gateway: Gateway) -> None:
    """No timer, handler, limit, child or orphan of a request is there in the next."""
    before = state(gateway)
    for name in (
        "set_timers",
        "change_signals",
        "lower_limits",
        "leave_child",
        "detach",
        "alarm_in_sleep",
    ):
        assert act(gateway, [name])[0].json()["done"] == [name]
        after = state(gateway)
        for part in ("attributes", "tasks"):
            assert not differences(before[part], after[part]), name
        same_worker(gateway, before, after)


CHECKS = (
    what_was_handed_on_shows_nothing,
    nothing_runs_beside_the_root,
    a_process_with_a_root_is_closed,
    nothing_survives,
)
