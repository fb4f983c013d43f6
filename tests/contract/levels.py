# SPDX-License-Identifier: MIT
"""Which promises make up a level of isolation: what the table of engines and levels rests on."""

from __future__ import annotations

from tests.contract.promises import GUEST_VARIANTS, VARIANTS, Variant

_LEAK = (1, 2, 3, 4, 5, 6, 9)
_BUG = (*_LEAK, 7, 8, "signals")
NEEDED: dict[str, tuple[int | str, ...]] = {
    "leak": _LEAK,
    "bug": _BUG,
    "hostile": (*_BUG, "separation", "neighbours", "attacks"),
}
"""What an engine must promise to give a level."""

NEEDED_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("lwc", "hostile"): ("switches",),
    ("fork", "hostile"): ("channel",),
}
"""… and what besides, for the way in which its contexts talk to their root."""

ALL_VARIANTS = {**GUEST_VARIANTS, **VARIANTS}


def proofs(engine: str, level: str) -> list[Variant]:
    """Return the variants that prove that *engine* gives *level*: tested with all it takes."""
    return [
        variant
        for variant in ALL_VARIANTS.values()
        if variant.engine == engine
        and set(variant.promises) >= {*NEEDED[level], *NEEDED_OF.get((engine, level), ())}
        and (variant.options.get("isolate") == "hostile") == (level == "hostile")
    ]
