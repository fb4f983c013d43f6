# SPDX-License-Identifier: MIT
"""Promise 8: whatever a request does costs that request alone; the worker goes on."""

from __future__ import annotations

import errno
import os
import re
import signal
from typing import TYPE_CHECKING

from tests.contract.checks.answers import CRASHES
from tests.contract.checks.asking import get, same_worker, state, waiting
from tests.harness import fastcgi, processes, until
from tests.harness.client import variables

if TYPE_CHECKING:
    from tests.harness import Gateway


def crashes(gateway: Gateway) -> None:
    """The worker survives every crash."""
    before = state(gateway)
    for end in CRASHES:
        gateway.get(f"/do?end={end}")
        same_worker(gateway, before, state(gateway))


def a_timeout_shows_where(gateway: Gateway) -> None:
    """A request that hangs is ended, and the log holds the traceback of where it was stuck."""
    before = state(gateway)
    for end in ("stuck_in_python", "stuck_in_c"):
        pattern = rf'ends\.py", line \d+ in {end}$'
        seen = len(re.findall(pattern, gateway.log(), re.MULTILINE))
        assert gateway.get(f"/do?end={end}").status == 500
        gateway.wait_for_log(pattern, seen + 1)
        same_worker(gateway, before, state(gateway))


def a_deaf_request_is_ended(gateway: Gateway) -> None:
    """A request that hangs and cannot take a signal is ended all the same."""
    before = state(gateway)
    for end in ("stuck_deaf", "stopped"):
        assert gateway.get(f"/do?end={end}").status == 500
        same_worker(gateway, before, state(gateway))


def memory_is_refused(gateway: Gateway) -> None:
    """At the memory limit the application gets MemoryError, and can still answer."""
    before = state(gateway)
    answer = gateway.get("/memory").json()
    assert answer != "never refused"
    assert 0 < answer["refused after MiB"] <= 256
    assert gateway.get("/do?end=memory_limit").status == 500
    same_worker(gateway, before, state(gateway))


def descriptors_run_out(gateway: Gateway) -> None:
    """A request that uses up its descriptors gets EMFILE, and the next has as many."""
    first = gateway.get("/open_many").json()
    second = gateway.get("/open_many").json()
    assert first == second
    assert first["errno"] == errno.EMFILE


def _patient(gateway: Gateway) -> Gateway:
    """A gateway whose requests are not ended by the clock."""
    return gateway.another(options={"timeout": "100s"})


def a_client_that_leaves(gateway: Gateway) -> None:
    """A client that closes its connection stops the context, and the worker goes on.

    That is no error of the server's or the application's.
    """
    with _patient(gateway) as patient:
        before = state(patient)
        with waiting(patient) as request:
            request.connection.close()
            until(lambda: not processes.alive(request.pid), "the context to be stopped")
        same_worker(patient, before, state(patient))
        patient.stop()
        assert " ERROR " not in patient.log()


def a_client_that_aborts(gateway: Gateway) -> None:
    """FCGI_ABORT_REQUEST stops the context and is answered by END_REQUEST or the end."""
    with _patient(gateway) as patient:
        before = state(patient)
        with waiting(patient) as request:
            request.connection.send(fastcgi.abort())
            answer = request.connection.answer()
            assert answer.ends == [(answer.ends[0][0], fastcgi.REQUEST_COMPLETE)] or answer.closed
            assert not answer.stdout
            until(lambda: not processes.alive(request.pid), "the context to be stopped")
        same_worker(patient, before, state(patient))


def a_client_that_leaves_in_its_upload(gateway: Gateway) -> None:
    """A client that closes in the middle of its body stops the context that reads it."""
    with _patient(gateway) as patient:
        before = state(patient)
        with patient.connect() as connection:
            params = fastcgi.pairs(variables("/upload", "POST", b"x" * 100_000).items())
            connection.send(
                fastcgi.begin(),
                fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
                fastcgi.stream(fastcgi.STDIN, 1, b"x" * 50_000),
            )
        same_worker(patient, before, state(patient))


def a_client_that_takes_nothing(gateway: Gateway) -> None:
    """A client that does not read its answer holds the worker no longer than the timeout."""
    before = state(gateway)
    with gateway.connect() as connection:
        connection.send(get("/download?chunks=10000&size=65536"))
        same_worker(gateway, before, state(gateway))


def a_context_killed_from_outside(gateway: Gateway) -> None:
    """A context that is killed, as by the kernel out of memory, costs one request."""
    before = state(gateway)
    with waiting(gateway) as request:
        os.kill(request.pid, signal.SIGKILL)
        answer = request.connection.answer()
    assert answer.complete
    assert answer.status == 500
    same_worker(gateway, before, state(gateway))


def a_context_dies_with_its_worker(gateway: Gateway) -> None:
    """Kill -9 of the worker ends the request it was serving; a new worker serves the next."""
    with _patient(gateway) as patient:
        before = state(patient)
        with waiting(patient) as request:
            # The snapshot process, which would clear up behind the worker, cannot help now.
            os.kill(patient.snapshot(), signal.SIGSTOP)
            try:
                os.kill(before["root"], signal.SIGKILL)
                until(lambda: not processes.alive(request.pid), "the context to end")
            finally:
                os.kill(patient.snapshot(), signal.SIGCONT)
            answer = request.connection.answer()
        assert answer.closed
        assert not answer.ends
        assert state(patient)["root"] != before["root"]


CHECKS = (
    crashes,
    a_timeout_shows_where,
    a_deaf_request_is_ended,
    memory_is_refused,
    descriptors_run_out,
    a_client_that_leaves,
    a_client_that_aborts,
    a_client_that_leaves_in_its_upload,
    a_client_that_takes_nothing,
    a_context_killed_from_outside,
    a_context_dies_with_its_worker,
)
