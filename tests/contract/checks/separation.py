# SPDX-License-Identifier: MIT
"""What engines that keep a context in a process of its own promise beyond the nine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.apps.residue import ADD_ONE
from tests.contract.checks.asking import get, same_worker, state
from tests.contract.checks.ways import is_sighted
from tests.harness import fastcgi

if TYPE_CHECKING:
    from tests.harness import Gateway


def _kinds(gateway: Gateway) -> list[str]:
    """What the descriptors of a context are, but for those an application has of itself."""
    kinds = [entry["is"] for entry in state(gateway)["descriptors"]["table"].values()]
    files = [str(gateway.folder / name) for name in ("data.txt", "pattern")]
    for own in ("/dev/null", "/usr", "pipe", "pipe", *files * 2):
        kinds.remove(own)
    return kinds


def a_context_holds_nothing_of_the_root(gateway: Gateway) -> None:
    """A context has the application's descriptors and its way to the root, no connection."""
    way = {"fork": ["socket"], "lwc": ["/dev/lwc", "anon_inode"]}[gateway.engine]
    found = _kinds(gateway)
    assert found == way, found


def the_roots_descriptors_are_none(gateway: Gateway) -> None:
    """To an application the descriptors of the root are not open, whatever it tries.

    Where its calls are not seen it has a table of its own, with its connection and the log.
    """
    assert _kinds(gateway) == ([] if is_sighted(gateway) else ["socket", "socket"])
    if is_sighted(gateway):
        before = state(gateway)
        with gateway.connect() as idle:
            tried = gateway.get("/grab").json()
            idle.send(get("/quick"))  # neither the connection nor the listener has suffered
            assert idle.answer().status == 200
        assert tried["descriptors"] > 5
        assert not tried["taken"]
        same_worker(gateway, before, state(gateway))


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
    # With --user it has none already.
    with gateway.another(privileged="user" in gateway.options) as ordinary:
        allowed = ordinary.get("/root_memory").json()
    assert allowed == []


CHECKS = (
    a_context_holds_nothing_of_the_root,
    the_keep_is_not_inherited,
    the_root_cannot_be_read,
)
SHARED_TABLE = (the_roots_descriptors_are_none,)
