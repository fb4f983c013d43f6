# SPDX-License-Identifier: MIT
"""Whether contexts can be kept from other processes is tried, not read off a version."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from lwcgi import _core
from tests.harness.lacking_kernel import Rule, command

_CREATE_RULESET, _RESTRICT_SELF, _UNSHARE, _PRCTL = 444, 446, 272, 157
_NO_NEW_PRIVS = 38
_ASK = "from lwcgi import _core; print(_core.confinement())"


def test_here() -> None:
    """A kernel that has Landlock keeps a process from its parent; one without says so."""
    assert _core.confinement() in (0, -errno.ENOSYS, -errno.EOPNOTSUPP)


@pytest.mark.skipif(_core.confinement() != 0, reason="needs Landlock, Linux 5.19")
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(_CREATE_RULESET, errno.ENOSYS), errno.ENOSYS),
        (Rule(_CREATE_RULESET, errno.EPERM), errno.EPERM),
        (Rule(_CREATE_RULESET, 0), errno.ENOSYS),  # version 0: older than what is needed
        (Rule(_RESTRICT_SELF, errno.EPERM), errno.EPERM),
        (Rule(_PRCTL, errno.EINVAL, 0, _NO_NEW_PRIVS), errno.EINVAL),
        (Rule(_UNSHARE, errno.EINVAL), errno.EBUSY),  # as where there is a thread besides
        (Rule(_RESTRICT_SELF, 0), errno.EOPNOTSUPP),  # it says yes, and does nothing
        (Rule(_RESTRICT_SELF, -1), errno.ENOSYS),
    ],
    ids=str,
)
def test_what_is_lacking(rule: Rule, expected: int) -> None:
    """Each call it takes is missed, also one that only pretends."""
    done = subprocess.run(
        command([rule], sys.executable, "-c", _ASK), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == -expected
