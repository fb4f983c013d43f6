# SPDX-License-Identifier: MIT
"""Light-weight contexts (lwCs) from Python, by the kernel module of ``kmod/``; see docs/lwc.md.

After Litton et al., "Light-Weight Contexts: An OS Abstraction for Safety and Performance", OSDI
2016. The contract is ``kmod/uapi/lwc.h``.
"""

from .attempts import Trial, attempt
from .calls import (
    MAX_ARGS,
    Created,
    Entered,
    ResetCounts,
    Switched,
    Trapped,
    clone,
    create,
    permit,
    reply,
    reset,
    retry,
    snapshot,
    switch,
)
from .context import ROOT, SELF, Context, Info, Right, State
from .door import DEVICE, Door, Feature, current_door, use_door
from .errors import (
    AttemptFailed,
    ContextBusy,
    ForeignContext,
    FrozenContext,
    LimitReached,
    LwcError,
    LwcUnavailable,
    NotGranted,
    NotInModule,
    NotRecoverable,
    NotSupported,
    StaleContext,
)
from .reach import overlay, syscall
from .specs import ALL, Action, Flag, Kind, Spec

__all__ = [
    "ALL",
    "DEVICE",
    "MAX_ARGS",
    "ROOT",
    "SELF",
    "Action",
    "AttemptFailed",
    "Context",
    "ContextBusy",
    "Created",
    "Door",
    "Entered",
    "Feature",
    "Flag",
    "ForeignContext",
    "FrozenContext",
    "Info",
    "Kind",
    "LimitReached",
    "LwcError",
    "LwcUnavailable",
    "NotGranted",
    "NotInModule",
    "NotRecoverable",
    "NotSupported",
    "ResetCounts",
    "Right",
    "Spec",
    "StaleContext",
    "State",
    "Switched",
    "Trapped",
    "Trial",
    "attempt",
    "clone",
    "create",
    "current_door",
    "overlay",
    "permit",
    "reply",
    "reset",
    "retry",
    "snapshot",
    "switch",
    "syscall",
    "use_door",
]
