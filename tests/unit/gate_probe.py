# SPDX-License-Identifier: MIT
"""The snapshot gate beside a test runner: only what the test itself opened is told."""

from __future__ import annotations

import ctypes
import os
from types import TracebackType

from lwcgi import gate
from lwcgi.gate import Finding


class Gate:
    """The gate, for what is opened after this object was made."""

    def __init__(self) -> None:
        self.own = frozenset(gate.application_fds(frozenset()))
        self.before = set(gate.inspect(self.own, frozenset()))

    def inspect(self, *allow: str) -> list[Finding]:
        """Return the new findings."""
        found = gate.inspect(self.own, frozenset(allow))
        return [finding for finding in found if finding not in self.before]

    def only(self, kind: str) -> str:
        """Assert that there is one finding, of that kind, which can be allowed; return its text."""
        [finding] = self.inspect()
        assert finding.kind == kind
        assert finding.remedy
        assert self.inspect(kind) == []
        return finding.what


class Closing:
    """Closes a bare descriptor at the end of a block."""

    def __init__(self, fd: int) -> None:
        assert fd >= 0, os.strerror(ctypes.get_errno())
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.fd)
