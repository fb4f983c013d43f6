# SPDX-License-Identifier: MIT
"""The ways to run a request in a context: one promise, several engines."""

from __future__ import annotations

from . import fork, hostile, lwc, none, rewind
from .base import Engine, Verdict

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (rewind.ENGINE, lwc.ENGINE, fork.ENGINE, none.ENGINE)
}
"""Every engine by name, the cheapest that isolates first."""


def verdict(engine: Engine, level: str | None) -> Verdict:
    """Tell whether *engine* can run here and give *level*; None asks for no level.

    Parameters:
        engine: one of ENGINES.
        level: one of config.LEVELS.
    """
    if level is not None and level not in engine.levels:
        able = [name for name, other in ENGINES.items() if level in other.levels]
        return Verdict(
            lacks=engine.short,
            remedy=f"take --engine auto, or one of {', '.join(able)}",
        )
    needs = hostile.examine() if level == "hostile" else Verdict()
    return needs if needs.lacks else engine.examine()
