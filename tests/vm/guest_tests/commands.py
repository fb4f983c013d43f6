# SPDX-License-Identifier: MIT
"""The words between model and driver: what can be done, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass

PRIVATE_PAGES = 6
SHARED_PAGES = 2  # from the start
PAGES = PRIVATE_PAGES + SHARED_PAGES + 1  # in the last one there is nothing at the start
SLOTS = 4  # descriptors that are looked at
FIRST_SLOT = 200  # the number of the first
FILES = 3  # what they may name

SELF = -10
ROOT = -11

COPY, SHARE, UNMAP = range(3)
ACCESS = 1 << 8  # with an action of a create: the new lwC may reach these of its creator
ENTER_RIGHT = 1 << 0
MAY_RETURN, SAME_RIGHTS, SUSPEND_ONLY, SHARE_SIGNALS, TRAP_SYSCALLS = (1 << n for n in range(5))

MEMORY, FILES_KIND, CREDENTIALS = KINDS = range(1, 4)
BY_ANOTHER = ("pread64", "dup2", "close", "geteuid")  # can be made with resources of another
ALWAYS_REFUSED = "process_vm_readv"  # where calls are refused
CALLS = (*BY_ANOTHER, ALWAYS_REFUSED)
REFUSABLE = ("pread64", "dup2", "geteuid")  # what runs the commands makes none of these
ALL_CALLS = frozenset({*REFUSABLE, "close", "ioctl"})
AGAIN = (1 << 64) - 1  # an answer to a refused call: it is made once more

Ranges = tuple[tuple[int, int, int], ...]
"""Of pages or slots: the first, the one after the last, an action.

Beyond those that are looked at is one that stands for all others of the kind, for masks only.
"""


def content(file: int) -> int:
    """Return the word that is in a file."""
    return 0xF11E0000 + file


@dataclass(frozen=True)
class Create:
    """Make an lwC.

    *wrong* names a mistake to make: see `specifications`.
    """

    new: int
    flags: int
    pages: Ranges = ()
    slots: Ranges = ()
    share_files: bool = False
    credentials: int = COPY
    wrong: str = ""


@dataclass(frozen=True)
class Switch:
    """Enter another lwC."""

    target: int
    args: tuple[int, ...] = ()
    discard: bool = False


@dataclass(frozen=True)
class Clone:
    """Make a worker."""

    snapshot: int
    new: int


@dataclass(frozen=True)
class Reset:
    """Put a worker back."""

    worker: int


@dataclass(frozen=True)
class Close:
    """Close the name of an lwC, which destroys it where its creator does."""

    target: int


@dataclass(frozen=True)
class Grant:
    """Let one enter another (ENTER_RIGHT) or reach into it (ACCESS), or not any more."""

    target: int
    holder: int
    rights: int = ENTER_RIGHT


@dataclass(frozen=True)
class Overlay:
    """Have resources of another; of SELF: undo that."""

    target: int
    pages: Ranges = ()
    slots: Ranges = ()
    credentials: int | None = None


@dataclass(frozen=True)
class Restrict:
    """Narrow what may be reached by a name, or (*new*) have another name that is narrow."""

    target: int
    pages: Ranges = ()
    slots: Ranges = ()
    credentials: int | None = None
    new: bool = False


@dataclass(frozen=True)
class Ask:
    """Ask for the information about an lwC."""

    target: int


@dataclass(frozen=True)
class Write:
    """Write into a page that is there."""

    page: int
    value: int


@dataclass(frozen=True)
class Map:
    """Put a fresh private page there, or nothing."""

    page: int
    there: bool


@dataclass(frozen=True)
class OpenSlot:
    """Have a descriptor name a file; None: close it."""

    slot: int
    file: int | None


@dataclass(frozen=True)
class SetUser:
    """Change the effective user id."""

    uid: int


@dataclass(frozen=True)
class Call:
    """Make a system call: of a slot, and a page (pread64) or another slot (dup2)."""

    name: str
    slot: int = 0
    to: int = 0


@dataclass(frozen=True)
class Perform:
    """Make a system call with resources of another, of these kinds."""

    target: int
    kinds: tuple[int, ...]
    call: Call


@dataclass(frozen=True)
class Refuse:
    """Say which system calls of another are refused."""

    target: int
    calls: frozenset[str]


Command = (
    Create | Switch | Clone | Reset | Close | Grant | Ask | Overlay | Restrict
    | Write | Map | OpenSlot | SetUser | Call | Perform | Refuse
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """What an lwC sees: values of pages (None: not there), files of slots, its user."""

    pages: tuple[int | None, ...]
    slots: tuple[int | None, ...]
    uid: int


@dataclass(frozen=True)
class About:
    """What `Ask` must answer, in numbers of the model."""

    number: int
    creator: int | None
    snapshot: int | None
    running: bool
    entered: bool | None
    contexts: int


@dataclass(frozen=True)
class Arrival:
    """What one that is entered must be told."""

    first: bool
    caller: int | None
    creator: int | None
    args: tuple[int, ...]
    refused: Call | None = None


@dataclass(frozen=True)
class Outcome:
    """What a command must lead to.

    Parameters:
        errors: that the call may answer; empty: it must succeed.
        runs: the lwC that runs afterwards.
        view: what that one sees.
        arrival: what it is told, if it was entered.
        about: the answer of `Ask`.
        result: of a system call that was made, or whose answer was waited for: a negative errno
            where it failed.
    """

    errors: frozenset[int]
    runs: int
    view: View
    arrival: Arrival | None = None
    about: About | None = None
    result: int | None = None
