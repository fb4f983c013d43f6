# SPDX-License-Identifier: MIT
"""What engines that keep a context in a process of its own promise beyond the nine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.apps.residue import ADD_ONE
from tests.contract.checks.asking import state
from tests.harness import fastcgi

if TYPE_CHECKING:
    from tests.harness import Gateway


def a_context_holds_nothing_of_the_root(gateway: Gateway) -> None:
    """A context has the application's descriptors and one channel: no connection, no listener."""
    table = state(gateway)["descriptors"]["table"]
    data = str(gateway.folder / "data.txt")
    kinds = sorted(entry["is"] for entry in table.values())
    assert kinds == sorted(["/dev/null", "pipe", "pipe", data, data, "socket"]), table


def the_keep_is_not_inherited(gateway: Gateway) -> None:
    """A context has its variables as they were decoded, not the bytes the root received."""
    name, value = b"HTTP_X_MARK", b"received bytes " * 4
    received = fastcgi.pair(name, value).translate(ADD_ONE).hex()
    decoded = (name + b"\0" + value).translate(ADD_ONE).hex()
    mark = {name.decode(): value.decode()}
    found = gateway.get(f"/search?needle={received}", **mark).json()
    assert not found["self"], f"bytes only the root should have: {found['self']}"
    # Both searches find what is there, so that the first one's result means something.
    assert found.get("root", ["may not be read"])
    assert gateway.get(f"/search?needle={decoded}", **mark).json()["self"]


def the_root_cannot_be_read(gateway: Gateway) -> None:
    """An application with no special rights has none over the root's memory and descriptors."""
    with gateway.another(privileged=False) as ordinary:
        allowed = ordinary.get("/root_memory").json()
    assert allowed == []


CHECKS = (
    a_context_holds_nothing_of_the_root,
    the_keep_is_not_inherited,
    the_root_cannot_be_read,
)
