# SPDX-License-Identifier: MIT
"""The arguments of flup's servers, as lwcgi.flup.WSGIServer takes them."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from flup.server import fcgi, fcgi_fork, fcgi_single

from lwcgi.flup import WSGIServer
from lwcgi.flup.options import arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Be an application."""
    return []


# Those without an effect; what flup itself does with them is seen in tests/gateway/test_flup.py.
KEPT: tuple[dict[str, Any], ...] = (
    {},
    {"environ": {"A": "b"}, "bindAddress": "/s", "umask": 0, "debug": True, "roles": (1, 2)},
    {"bindAddress": ("127.0.0.1", 1), "multiplexed": False, "forceCGI": False, "timeout": None},
    {"minSpare": 1, "maxSpare": 5, "maxChildren": 50, "maxRequests": 100, "sockTimeout": 0},
    {"multithreaded": False, "multiprocess": True, "jobClass": int, "jobArgs": ()},
    {"maxThreads": 10},
)
LOST: dict[str, Any] = {
    "multithreaded": True,
    "multiprocess": False,
    "multiplexed": True,
    "minSpare": 3,
    "maxSpare": 9,
    "sockTimeout": 1.5,
    "roles": (1, 3),
}


@pytest.mark.parametrize("given", KEPT)
def test_what_is_kept_to_is_taken_silently(given: dict[str, Any]) -> None:
    """Arguments that have a meaning here, and defaults of flup's, are no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WSGIServer(app, **given)


@pytest.mark.parametrize("name", LOST)
def test_what_is_lost_warns_by_name(name: str) -> None:
    """An argument that has no meaning here is named in a warning."""
    with pytest.warns(RuntimeWarning, match=rf"^{name}: ") as told:
        WSGIServer(app, **{name: LOST[name]})
    assert len(told) == 1
    assert told[0].filename == __file__


def test_handler_of_a_subclass_warns() -> None:
    """A subclass that answers requests by itself is told that it will not be asked."""

    class Own(WSGIServer):
        def handler(self, req: object) -> None: ...

    with pytest.warns(RuntimeWarning, match="^handler: "):
        Own(app)


@pytest.mark.parametrize("name", ["bindaddress", "loggingLevel", "maxwrite"])
def test_unknown_arguments_are_type_errors(name: str) -> None:
    """An argument that flup does not know is a TypeError, as it is there."""
    for server in (WSGIServer, fcgi_fork.WSGIServer):
        with pytest.raises(TypeError, match=name):
            server(app, **{name: 1})


@pytest.mark.parametrize("given", [{"minSpare": 0}, {"minSpare": 4, "maxSpare": 3}])
def test_refused_values(given: dict[str, int]) -> None:
    """A value that flup refuses is refused with the same exception."""
    for server in (WSGIServer, fcgi_fork.WSGIServer):
        with pytest.raises(ValueError, match="minSpare"):
            server(app, **given)


def _parameters(function: Any) -> set[str]:
    code = function.__code__
    return set(code.co_varnames[1 : code.co_argcount])


def test_every_argument_of_flup_is_known() -> None:
    """No named argument of its three servers is missing."""
    servers = (fcgi, fcgi_fork, fcgi_single)
    named = set().union(*(_parameters(module.WSGIServer.__init__) for module in servers))
    named |= _parameters(fcgi_fork.PreforkServer.__init__)
    for name in named - {"application"}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            WSGIServer(app, **{name: (1,) if name == "roles" else 5 if "Spare" in name else None})


@pytest.mark.parametrize(
    ("address", "options"),
    [
        (None, ["--bind", "fd://0", "--allow-remote"]),
        ("/run/s", ["--bind", "unix:/run/s", "--socket-mode", "770"]),
        (("127.0.0.1", 9000), ["--bind", "127.0.0.1:9000"]),
        (("localhost", 9000), ["--bind", "localhost:9000"]),
        (("", 9000), ["--bind", "0.0.0.0:9000", "--allow-remote"]),
        (("192.0.2.1", 9000), ["--bind", "192.0.2.1:9000", "--allow-remote"]),
        (("::1", 9000, 0, 0), ["--bind", "[::1]:9000"]),
        (("", 9000, 0, 0), ["--bind", "[::]:9000", "--allow-remote"]),
    ],
)
def test_addresses(address: Any, options: list[str]) -> None:
    """What bindAddress means is what --bind and its companions say."""
    assert arguments(address, 0o007, None, None) == options


def test_relative_path() -> None:
    """A relative path is taken from the directory where run() is called."""
    assert arguments("s", 0, None, None)[1] == f"unix:{os.getcwd()}/s"


def test_limits() -> None:
    """Time and number of processes become options; more workers than there may be are cut."""
    assert arguments(("::1", 1, 0, 0), None, 2.5, 7)[2:] == ["--timeout", "2.5", "--workers", "7"]
    assert arguments(("::1", 1, 0, 0), None, None, 9999)[2:] == ["--workers", "1024"]
