# SPDX-License-Identifier: MIT
"""Several applications in one, by the first part of the path, for guests in which a start is slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import shift_path_info

from tests.apps import marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[2]
for folder in ("bench", "demo_apps/counter", "demo_apps/flask_notes", "demo_apps/hello"):
    sys.path.append(str(ROOT / folder))

# Found by what was appended just now.
import counter  # noqa: E402
import hello  # noqa: E402
import notes  # noqa: E402
import soak_app  # noqa: E402

MOUNTED = {
    "hello": hello.application,
    "marks": marks.application,
    "notes": notes.application,
    "soak": soak_app.application,
}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Have it answered by the one that is mounted there, or else by the counter."""
    if environ["PATH_INFO"].split("/")[1] not in MOUNTED:
        return counter.application(environ, start_response)
    return MOUNTED[str(shift_path_info(environ))](environ, start_response)
