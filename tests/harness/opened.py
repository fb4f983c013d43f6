# SPDX-License-Identifier: MIT
"""Running this Python as another user, also where it lies in a directory of root's alone."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own, a closed directory gets an overlay whose mode is another one.
_SCRIPT = """
set -e
mount -t tmpfs none /mnt
for directory in $CLOSED; do
    upper=/mnt/$(echo "$directory" | tr / _)
    mkdir "$upper" "$upper.work"
    mount -t overlay overlay -o "lowerdir=$directory,upperdir=$upper,workdir=$upper.work" "$directory"
    chmod o+rx "$directory"
done
exec "$@"
"""


def program() -> list[str]:
    """Return the words that run lwcgi where every user can read it, for `Gateway`."""
    lwcgi = [sys.executable, "-m", "lwcgi"]
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    above = {folder for path in needed for folder in (path, *path.parents)}
    closed = sorted(str(folder) for folder in above if folder.stat().st_mode & 0o5 != 0o5)
    if not closed:
        return lwcgi
    return ["env", f"CLOSED={' '.join(closed)}", "unshare", "-m", "sh", "-c", _SCRIPT, "sh", *lwcgi]
