# SPDX-License-Identifier: MIT
"""LISTEN_FDS and its like (sd_listen_fds(3))."""

from __future__ import annotations

import os

import pytest

from lwcgi.errors import ConfigError
from lwcgi.supervisor.activation import addresses, passed, unused

HERE = {"LISTEN_PID": str(os.getpid())}


def test_names() -> None:
    """Each descriptor from 3 on has its name; names that are missing are empty."""
    there = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b", **HERE}
    assert passed(there) == {3: "a", 4: "b", 5: ""}


@pytest.mark.parametrize(
    "there", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {**HERE}]
)
def test_not_for_us(there: dict[str, str]) -> None:
    """Without LISTEN_PID of this process nothing is taken, so that children are not misled."""
    assert passed(there) == {}
    assert addresses((), there) == ()
    assert addresses(("unix:/run/s",), there) == ("unix:/run/s",)


@pytest.mark.parametrize("count", ["x", "-1", "1.5", "٣", "1000000000"])
def test_no_number(count: str) -> None:
    """Anything else than a number is an error, not a guess."""
    with pytest.raises(ConfigError) as caught:
        passed({"LISTEN_FDS": count, **HERE})
    assert caught.value.remedy


def test_addresses() -> None:
    """Without --bind all are served; with it what it says, by number or by name."""
    there = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "web:admin:web", **HERE}
    assert addresses((), there) == ("fd://3", "fd://4", "fd://5")
    assert addresses(("fd://web", "unix:/run/s"), there) == ("fd://3", "fd://5", "unix:/run/s")
    assert unused(("fd://3", "fd://5"), there) == ["fd://4"]
    for wrong in (("fd://nobody",), ("fd://3", "fd://web")):
        with pytest.raises(ConfigError):
            addresses(wrong, there)
