# SPDX-License-Identifier: MIT
"""What stands behind nginx: the demo applications, and two that test it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from demo_apps import demo
from demo_apps.stage import DEMO_APPS, Site, lwcgi_site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
LIVE = Path("/sys/module/lwc/parameters/live_contexts")
PATIENT, IMPATIENT = "40s", "10s"
"""For a request, where some hang."""

KEPT = 8
"""Connections that nginx keeps to each gateway."""


def sites(
    folder: Path, port: int, engine: str, options: tuple[str, ...], whole: bool
) -> Iterator[Site]:
    """Yield the sites of the demo, `hello`, and those that are for tests.

    Parameters:
        folder: where the applications store.
        port: of nginx.
        engine: of all that isolate.
        options: more of `lwcgi run`.
        whole: all applications, each with a gateway of its own; else one gateway, without Django.
    """
    # A snapshot made anew for so many crashes would hide what the old one had gathered. What
    # loads the application is as slow as the guest.
    options = ("--snapshot-max-crashes", "0", "--startup-timeout", "0", *options)
    limits = ("--no-warmup", "--timeout", PATIENT if whole else IMPATIENT)
    if not whole:
        notes = (("NOTES_DIR", str(folder / "notes")),)
        yield lwcgi_site(
            "tests.apps.demos:application", ROOT, *options, *limits,
            engine=engine, workers=2, keep=KEPT, environ=notes,
        )  # fmt: skip
        return
    yield from demo.sites(folder, port, engine, options)
    yield lwcgi_site(
        "hello:application", DEMO_APPS / "hello", *options,
        engine=engine, mount="/hello", workers=1, keep=KEPT,
    )  # fmt: skip
    yield lwcgi_site(
        "soak_app:application", ROOT / "bench", *options, *limits,
        engine=engine, mount="/soak", workers=2, keep=KEPT,
    )  # fmt: skip
    yield lwcgi_site(
        "tests.apps.marks:application", ROOT, *options, "--no-warmup",
        engine=engine, mount="/marks", workers=2, keep=KEPT,
    )  # fmt: skip
