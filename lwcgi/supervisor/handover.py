# SPDX-License-Identifier: MIT
"""What a master leaves to the lwcgi that is executed in its process: descriptors and pids.

It travels in a memfd (memfd_create(2)), whose number the variable LWCGI_HANDOVER names.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

from .. import __version__
from ..config import Settings
from ..errors import EngineError
from .generation import Generation
from .launch import Snapshot
from .sockets import Address, Listener

VARIABLE = "LWCGI_HANDOVER"
_TRIAL = "trial:"
# Raised when an older lwcgi could not make sense of what this one writes.
_FORMAT = 1

Place = tuple[str, str, int, int]
"""The fields of an `Address`."""


@dataclass(frozen=True, kw_only=True)
class Heir:
    """A generation that lives on."""

    pid: int
    control: int
    heard: bool
    leads: bool
    ready: bool
    serves: bool
    started: float
    kill_at: float
    workers: int
    graceful_timeout: float

    @classmethod
    def of(cls, generation: Generation, serves: bool) -> Heir:
        """Return what is to be known of *generation*."""
        return cls(
            pid=generation.pid,
            control=generation.snapshot.control.fileno(),
            heard=generation.heard,
            leads=generation.leads,
            ready=generation.ready,
            serves=serves,
            started=generation.started,
            kill_at=generation.kill_at,
            workers=generation.settings.workers,
            graceful_timeout=generation.settings.graceful_timeout,
        )

    def generation(self, settings: Settings) -> Generation:
        """Return the generation again; *settings* are those of this lwcgi."""
        own = replace(settings, workers=self.workers, graceful_timeout=self.graceful_timeout)
        control = socket.socket(fileno=self.control)
        control.setblocking(False)
        found = Generation(Snapshot(self.pid, control), own)
        found.heard, found.leads, found.ready = self.heard, self.leads, self.ready
        found.started, found.kill_at = self.started, self.kill_at
        return found


@dataclass(frozen=True, kw_only=True)
class Handover:
    """All that is left behind.

    Parameters:
        version: of the lwcgi that leaves it.
        bind: the addresses as they were configured.
        listeners: for each its descriptor, its address, and its file.
        queue: both ends of the queue of connections.
        intake: the descriptors of `Intake`.
        workers: how many there are to be.
        configured: how many the configuration says.
        heirs: the generations, oldest first.
        spared: pids of children that were there before lwcgi; None where it is not known.
        hostile: requests were served that leave nothing behind, as `Strangers.unwelcome`.
        trial: only tell whether all this can be taken over.
    """

    version: str = __version__
    bind: list[str]
    listeners: list[tuple[int, Place, tuple[int, int] | None]]
    queue: list[int]
    intake: list[int]
    workers: int
    configured: int
    heirs: list[Heir]
    spared: list[int] | None = None
    hostile: bool = False
    trial: bool = False

    def descriptors(self) -> list[int]:
        """Return every descriptor that must stay open."""
        listeners = [fd for fd, *_ in self.listeners]
        return [*listeners, *self.queue, *self.intake, *(heir.control for heir in self.heirs)]

    def write(self) -> int:
        """Return a new descriptor of a memfd that holds this."""
        fd = os.memfd_create("lwcgi-handover")
        left = asdict(self)
        # Beside the rest, where a lwcgi that does not know of them passes over them.
        beside = {name: left.pop(name) for name in ("spared", "hostile")}
        data = json.dumps({"format": _FORMAT, "left": left} | beside).encode()
        os.write(fd, data)
        return fd

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Handover | None:
        """Return what was left to this process; None where nothing was.

        The variable is taken out of the *environment*: it is not for our children.

        Raises:
            EngineError: it was left by a version that this one cannot follow.
        """
        told = environment.pop(VARIABLE, None)
        if told is None:
            return None
        trial = told.startswith(_TRIAL)
        if trial and environment.get("LISTEN_PID") == str(os.getppid()):
            # What was passed is meant for the program that this one may become.
            environment["LISTEN_PID"] = str(os.getpid())
        try:
            fd = int(told.removeprefix(_TRIAL))
            content = json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
            if content["format"] != _FORMAT:
                raise ValueError("another format")
            left = content["left"] | {"trial": trial}
            left["heirs"] = [Heir(**heir) for heir in left["heirs"]]
            left |= {"spared": content.get("spared"), "hostile": content.get("hostile", False)}
            found = cls(**left)
            for inherited in found.descriptors():
                os.set_inheritable(inherited, False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise EngineError(
                f"what {VARIABLE} names cannot be taken over ({error})",
                "restart the service: this version of lwcgi cannot follow the one that runs",
            ) from error
        os.close(fd)
        return found

    def open_listeners(self) -> list[Listener]:
        """Return the listeners again."""
        return [
            Listener.inherit(Address(*place), fd, (made[0], made[1]) if made else None)
            for fd, place, made in self.listeners
        ]


def note_listeners(
    listeners: Sequence[Listener],
) -> list[tuple[int, Place, tuple[int, int] | None]]:
    """Return the listeners as a `Handover` has them."""
    return [(found.fileno(), astuple(found.address), found.made) for found in listeners]


def value(fd: int, trial: bool) -> str:
    """Return the variable's value for the memfd *fd*."""
    return f"{_TRIAL if trial else ''}{fd}"
