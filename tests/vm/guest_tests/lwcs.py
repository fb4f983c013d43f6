# SPDX-License-Identifier: MIT
"""What the model knows of one lwC."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.vm.guest_tests.commands import View

if TYPE_CHECKING:
    from tests.vm.guest_tests.commands import Call
    from tests.vm.guest_tests.masks import Handle, Mask
    from tests.vm.guest_tests.refusals import Refusals


@dataclass
class Page:
    """A page of memory. A shared one is the same object in several lwCs."""

    value: int = 0
    shared: bool = False


@dataclass
class Table:
    """A table of descriptors: slots, and the names of lwCs."""

    slots: list[int | None]


@dataclass
class User:
    """Credentials."""

    uid: int = 0


@dataclass
class Lwc:
    """One lwC.

    Parameters:
        names: those it knows a descriptor of, and which one.
        may: those it was let enter.
        reach: those it was let reach into.
        access: what it may reach of its creator.
        own_user: the credentials that are put aside.
        hidden: not dumpable, as memory is whose user has changed.
        refusals: of its system calls.
        waits: for the answer to this call, which was refused.
    """

    number: int
    creator: Lwc | None
    pages: list[Page | None]
    table: Table
    user: User
    names: dict[int, Handle] = field(default_factory=dict)
    may: set[int] = field(default_factory=set)
    reach: set[int] = field(default_factory=set)
    access: Mask | None = None
    own_user: User | None = None
    hidden: bool = False
    refusals: Refusals | None = None
    waits: Call | None = None
    frozen: bool = False
    snapshot: Lwc | None = None
    entered: bool = False
    dead: bool = False
    args: tuple[int, ...] = ()
    settled: bool = False  # has made lwCs: not clear after a reset

    def view(self) -> View:
        """Return what it sees."""
        pages = tuple(None if page is None else page.value for page in self.pages)
        return View(pages, tuple(self.table.slots), self.user.uid)

    def refuses(self, name: str) -> bool:
        """Return whether this system call of it is refused."""
        return self.refusals is not None and self.refusals.have(name)

    def copy(self, number: int, creator: Lwc) -> Lwc:
        """Return a copy in all three kinds of resources."""
        return replace(
            self,
            number=number,
            creator=creator,
            pages=[
                page if page is None or page.shared else Page(page.value) for page in self.pages
            ],
            table=Table(list(self.table.slots)),
            user=User(self.user.uid),
            names=dict(self.names),
            may=set(),
            reach=set(),
            access=None,
            own_user=None,
            refusals=None,
            frozen=False,
            snapshot=None,
            entered=False,
            settled=False,
        )
