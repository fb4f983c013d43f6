# SPDX-License-Identifier: MIT
"""Which generation serves, which one is to follow it, and which ones are on their way out."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..config import MOST_WORKERS, Settings
from ..errors import ApplicationError, EngineError, LwcgiError
from .backoff import Backoff
from .freshness import Freshness
from .generation import Generation
from .launch import Snapshot

Choose = Callable[[Settings], tuple[str, str]]
Launch = Callable[[Settings], Snapshot]
Tell = Callable[[str, str], None]

# So many may be on their way out when one more is loaded; what is asked for meanwhile waits.
MOST_LEAVING = 3


class Succession:
    """The generations, oldest first; at most one serves and at most one is being loaded.

    Parameters:
        settings: what to load.
        choose: returns the engine that settings ask for, and why; may raise LwcgiError.
        launch: starts a snapshot process.
        tell: takes level and text for the log.
        selector: where the control sockets are watched.
        check: one generation is to load, report and end.
    """

    def __init__(
        self,
        settings: Settings,
        choose: Choose,
        launch: Launch,
        tell: Tell,
        selector: selectors.BaseSelector,
        check: bool = False,
    ) -> None:
        self.settings = settings
        self.workers = settings.workers
        """How many there are to be; signals change it."""
        self.generations: list[Generation] = []
        self.serving: Generation | None = None
        self.coming: Generation | None = None
        self.was_ready = False
        self.held = False
        """No load may begin."""
        self.freshness = Freshness()
        self.reread: Callable[[], Settings] | None = None
        """Returns the settings as they are now configured; may raise LwcgiError."""
        self.on_ready: Callable[[Generation], object] | None = None
        """Called with a generation that serves from now on."""
        self.on_load: Callable[[], object] | None = None
        """Called before the configuration is read and one is started."""
        self.on_end: Callable[[Generation], object] | None = None
        """Called with one whose last process is gone."""
        self.stopping = False
        self._quick = False
        self._choose = choose
        self._launch = launch
        self._tell = tell
        self._selector = selector
        self._check = check
        self._backoff = Backoff()
        self._wanted = ""  # why a load is due
        self._rereads = False
        self._not_before = 0.0

    # --- orders ------------------------------------------------------------------

    def begin(self) -> None:
        """Have the application loaded for the first time."""
        self._wanted = "start"

    def load(self, why: str, reread: bool = False) -> None:
        """Have the application loaded again, as soon as may be; what is already due covers it.

        Parameters:
            why: for the log.
            reread: somebody asks for it: the configuration is read again too.
        """
        if self.stopping:
            return
        if not self._wanted:
            self._tell("info", f"{why}: {self._when()}")
        if reread:
            self._rereads, self._not_before = True, 0.0
        self._wanted = self._wanted or why

    def _when(self) -> str:
        if self.coming:
            return "the application is loaded once more after this time"
        if self._may_load() or self.held:
            return "the application is loaded again"
        return "the application is loaded again when requests of older snapshots have ended"

    def resize(self, change: int, name: str) -> None:
        """Have *change* more workers, from now on and in all generations to come."""
        if self.stopping:
            return
        wanted = min(max(self.workers + change, 1), MOST_WORKERS)
        if wanted == self.workers:
            self._tell("warning", f"{name}: there are {wanted} workers, and it stays so")
            return
        self._set_workers(wanted, name)

    def _set_workers(self, wanted: int, why: str) -> None:
        self._tell("info", f"{why}: {wanted} workers instead of {self.workers}")
        self.workers = wanted
        for generation in (self.serving, self.coming):
            if generation and generation.leads:
                generation.resize(wanted)

    def stop(self, quick: bool, name: str) -> None:
        """Begin to stop; a quick order makes a graceful stop quick, and a quick stop instant."""
        at_once = self._quick and quick
        if self.stopping and not quick:
            return
        self.stopping, self._quick = True, self._quick or quick
        self._wanted = ""
        for generation in self.generations:
            self._on_message(generation)  # it may serve since a moment ago
        leads = any(generation.leads for generation in self.generations)
        how = "now" if at_once or not leads else "quickly" if quick else "gracefully"
        self._tell("info", f"{name}: stopping {how}")
        for generation in self.generations:
            if at_once:
                generation.kill()
            else:
                generation.stop(quick)

    def kill(self) -> None:
        """Kill every process of every generation."""
        for generation in self.generations:
            generation.kill()

    # --- what happens ------------------------------------------------------------

    def adopt(self, generation: Generation) -> None:
        """Take a running generation in, and listen to it."""
        self.generations.append(generation)
        if generation.heard:
            take = partial(self._on_message, generation)
            self._selector.register(generation.snapshot.control, selectors.EVENT_READ, take)

    def died(self, pid: int, status: int) -> None:
        """Note that the child *pid* was waited for, with this wait *status*."""
        for generation in self.generations:
            if generation.pid == pid and generation.ended is None:
                self._on_message(generation)
                if generation.heard:
                    generation.heard = False
                    self._selector.unregister(generation.snapshot.control)
                generation.died(status)

    def patience(self) -> float | None:
        """Return the seconds until something is due; None when nothing is."""
        due = [moment for generation in self.generations if (moment := generation.due())]
        if self._wanted and self._may_load():
            due.append(self._not_before)
        if (moment := self._deadline()) is not None:
            due.append(moment)
        if self.is_settled() and (moment := self.freshness.due()) is not None:
            due.append(moment)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def tick(self) -> None:
        """Do what is due.

        Raises:
            LwcgiError: the first generation cannot be started.
        """
        for generation in list(self.generations):
            told = generation.tick()
            if told == "killed" and not generation.failure:
                self._tell("warning", "the workers did not end in time and are killed")
            elif told == "left":
                self._tell("error", "processes are left that cannot be killed; see ps -ef")
            if told in ("left", "over"):
                self._over(generation)
        now = time.monotonic()
        deadline = self._deadline()
        if self.coming and deadline is not None and now >= deadline:
            self.coming.give_up(_too_slow(self.coming.settings.startup_timeout))
        if self.is_settled() and (why := self.freshness.complaint()):
            self.load(why)
        if self._wanted and now >= self._not_before and self._may_load():
            self._load()

    def is_movable(self) -> bool:
        """Could another program take the generations over: is none in between?"""
        return self.coming is None and all(one.ended is None for one in self.generations)

    def _may_load(self) -> bool:
        """Is there room for one more?"""
        leaving = len(self.generations) - (self.serving is not None)
        return not (self.stopping or self.held or self.coming) and leaving < MOST_LEAVING

    def is_settled(self) -> bool:
        """One serves, and nothing is to change that."""
        busy = self.stopping or self.held or self.coming or self._wanted
        return not busy and self.serving is not None

    def _deadline(self) -> float | None:
        """Return the moment at which what is being loaded is given up."""
        coming = self.coming
        if coming is None or coming.failure or coming.ended is not None:
            return None
        limit = coming.settings.startup_timeout
        return coming.started + limit if limit else None

    def _load(self) -> None:
        reread, self._wanted, self._rereads = self._rereads, "", False
        if self.on_load:
            self.on_load()
        if reread and not self._reread():
            return
        settings = replace(self.settings, workers=self.workers)
        try:
            engine, _ = self._choose(settings)
            settings = replace(settings, engine=engine)
            snapshot = self._launch(settings)
        except (OSError, LwcgiError) as error:
            self._cannot_start(error)
            return
        generation = Generation(snapshot, settings)
        self.coming = generation
        self.adopt(generation)

    def _reread(self) -> bool:
        """Take the configuration over as it is now; return whether it is good."""
        if self.reread is None:
            return True
        try:
            new = self.reread()
            self._choose(new)
        except LwcgiError as error:
            self._not_loaded(error, None)
            return False
        new, waiting = new.as_at_start(self.settings)
        for name in waiting:
            self._tell("warning", f"--{name} has changed: that takes a restart")
        if new.workers != self.settings.workers:
            self._set_workers(new.workers, "configuration")
        self.settings = new
        return True

    def _on_message(self, generation: Generation) -> None:
        if not generation.heard:
            return  # its end was told in the same breath
        for event in generation.hear():
            if event == "deaf":
                self._selector.unregister(generation.snapshot.control)
            elif event == "frozen" and self.workers != generation.settings.workers:
                generation.resize(self.workers)
            elif event == "ready" and generation is self.coming:
                self._swap(generation)

    def _swap(self, generation: Generation) -> None:
        """Let *generation* serve; the one before ends its requests and goes."""
        before, self.serving, self.coming = self.serving, generation, None
        self.was_ready = True
        self.freshness.renewed(generation.settings)
        workers = f"{self.workers} worker{'s' if self.workers != 1 else ''}"
        self._tell("info", f"ready: {workers}, engine {generation.settings.engine}")
        if before:
            self._tell("info", f"the workers of snapshot {before.pid} are stopped gracefully")
            before.stop(quick=False)
        if self.on_ready:
            self.on_ready(generation)

    def _over(self, generation: Generation) -> None:
        self.generations.remove(generation)
        if self.on_end:
            self.on_end(generation)
        if generation is self.coming:
            self.coming = None
            if not self.stopping and not (self._check and generation.notes is not None):
                self._failed(generation)
        elif generation is self.serving:
            self.serving = None
            if not self.stopping:
                self._explain(generation.why())
                self._retry("the snapshot process is gone", generation)

    def _failed(self, generation: Generation) -> None:
        failure = generation.why()
        if not self.was_ready:
            raise failure
        self._not_loaded(failure, generation)

    def _cannot_start(self, error: OSError | LwcgiError) -> None:
        if isinstance(error, OSError):
            error = EngineError(
                f"cannot start a process: {error.strerror}",
                "raise the limits on processes and memory",
            )
        if not self.was_ready:
            raise error
        self._not_loaded(error, None)

    def _not_loaded(self, failure: LwcgiError, dead: Generation | None) -> None:
        self._explain(failure)
        if self.serving:
            self._tell("error", "not reloaded; what was loaded before goes on")
        else:
            what = "the snapshot process is gone" if dead else "there is no snapshot process"
            self._retry(what, dead)

    def _retry(self, what: str, dead: Generation | None) -> None:
        if self.coming:
            self._tell("error", f"{what}; the application is being loaded already")
            return
        delay = self._backoff.died(time.monotonic() - dead.started if dead else 0.0)
        when = f"in {delay:.1f} s" if delay else "now"
        self._tell("error", f"{what}; the application is loaded again {when}")
        self._not_before = time.monotonic() + delay
        self._wanted = self._wanted or what

    def _explain(self, failure: LwcgiError) -> None:
        for text in (failure.traceback.rstrip(), failure.cause, failure.remedy):
            if text:
                self._tell("error", text)


def _too_slow(limit: float) -> ApplicationError:
    return ApplicationError(
        f"the application did not get ready within {limit:g} s",
        "where it was stuck is above; give it more time with --startup-timeout",
    )
