# SPDX-License-Identifier: MIT
"""``make fuzz SECONDS=N``: the fuzzer of test_fuzz.py for as long as wanted."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from .test_fuzz import build

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        seed = random.randrange(1 << 32)
        sys.stderr.write(f"fuzz: seed {seed}\n")
        sys.exit(subprocess.call([build(Path(folder)), sys.argv[1], str(seed)]))
