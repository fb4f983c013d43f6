# SPDX-License-Identifier: MIT
"""The engine `rewind` undoes whatever a request does, in the cheapest way that can be right.

Each act and each end alone, with the way it takes and with system calls out of sight; the checks
of the promises mix them.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.apps.ends import ENDS
from tests.contract.checks.asking import differences, same_worker, state
from tests.contract.checks.ways import (
    ACTS,
    ENDED,
    IN_PLACE,
    NOT_FOUND,
    REPLACED,
    act,
    expected,
    is_sighted,
)
from tests.contract.hazards import HAZARDS
from tests.harness.gateway import ROOT

if TYPE_CHECKING:
    from typing import Any

    from tests.contract.conftest import Gateways
    from tests.harness import Gateway

PARTS = ("memory", "mappings", "descriptors", "attributes", "tasks")


# Out of sight the application may do it.
CLOSES_ALL = ("close_everything", "close_each")


def _same(gateway: Gateway, before: dict[str, Any], way: str) -> None:
    after = state(gateway)
    parts = list(PARTS)
    if way == REPLACED:
        parts.remove("mappings")  # the root's own lie elsewhere in another worker
        assert after["root"] != before["root"]
    else:
        same_worker(gateway, before, after)
    found = differences({p: before[p] for p in parts}, {p: after[p] for p in parts})
    assert not found
    if way == IN_PLACE:
        assert after["pid"] == before["pid"]
    else:
        assert after["pid"] != before["pid"]


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (variant, name)
        for variant in ("rewind", "rewind-blind")
        for name in ACTS
        if variant == "rewind" or name not in NOT_FOUND
    ],
)
def test_act(gateways: Gateways, variant: str, name: str) -> None:
    """What one act has changed is undone, in the way it should."""
    gateway = gateways(variant)
    before = state(gateway)
    answer, how = act(gateway, [name])
    if is_sighted(gateway) or name not in CLOSES_ALL:
        answer.json()
    else:
        # Also the connection: it is the gateway that answers.
        assert answer.complete
        assert answer.status == 500
    assert how
    if is_sighted(gateway) and how.way not in (IN_PLACE, ENDED):
        assert how.call is not None, "the log does not say why"
    _same(gateway, before, how.way)
    if name == "detach":  # lives on, whatever becomes of its worker
        os.kill(int((gateway.folder / "detached").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("variant", ["rewind", "rewind-blind"])
@pytest.mark.parametrize("name", [name for name in ENDS if name != "kill_group"])
def test_end(gateways: Gateways, variant: str, name: str) -> None:
    """However a request ends, it is undone, in the way it should."""
    gateway = gateways(variant)
    before = state(gateway)
    answer, how = act(gateway, ["spoil_c_memory"], name)
    assert how
    assert answer.complete
    assert answer.status == (200 if name == "goes_on" else 500)
    _same(gateway, before, expected(gateway, [], name))


def test_every_act_is_tried(gateways: Gateways) -> None:
    """No act of the application is missing here."""
    assert set(gateways("rewind").get("/acts").json()["acts"]) == set(ACTS)


@pytest.mark.parametrize("hazard", HAZARDS)
def test_hazard_has_a_proof(hazard: str) -> None:
    """Whatever is known to be able to go wrong is tried."""
    for proof in HAZARDS[hazard]:
        kind, _, name = proof.partition(" ")
        if kind in ("act", "end"):
            assert name in (ACTS if kind == "act" else ENDS)
        else:
            path, _, name = proof.partition("::")
            assert f"\ndef {name}(" in (ROOT / path).read_text()
