# SPDX-License-Identifier: MIT
"""Hooks: their order, their failures, and AWS's registry."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

import lwcgi
from lwcgi import hooks
from lwcgi.errors import ApplicationError


@pytest.fixture(autouse=True)
def _no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_before_snapshot", "_after_restore", "_after_response"):
        monkeypatch.setattr(hooks, name, [])
    monkeypatch.delitem(sys.modules, "snapshot_restore_py", raising=False)


@pytest.fixture
def calls() -> list[str]:
    """What was called, in order."""
    return []


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """AWS's module, imported, with an empty registry."""
    module = importlib.import_module("snapshot_restore_py")
    monkeypatch.setattr(module, "_before_snapshot_registry", [])
    monkeypatch.setattr(module, "_after_restore_registry", [])
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", module)
    return module


def test_before_snapshot_runs_the_last_first(calls: list[str]) -> None:
    """What was set up last is taken down first."""
    lwcgi.before_snapshot(lambda: calls.append("a"))
    lwcgi.before_snapshot(lambda: calls.append("b"))
    hooks.run_before_snapshot()
    assert calls == ["b", "a"]


def test_the_others_run_in_order(calls: list[str]) -> None:
    """after_restore and after_response run in order of registration, each time."""
    for decorator in (lwcgi.after_restore, lwcgi.after_response):
        decorator(lambda: calls.append("a"))
        decorator(lambda: calls.append("b"))
    hooks.run_after_restore()
    hooks.run_after_restore()
    hooks.run_after_response()
    assert calls == ["a", "b"] * 3


@pytest.mark.parametrize(
    "decorator", [lwcgi.before_snapshot, lwcgi.after_restore, lwcgi.after_response]
)
def test_decorators_return_the_function(decorator: object) -> None:
    """A hook stays usable under its name."""

    def hook() -> None: ...

    assert decorator(hook) is hook  # type: ignore[operator]


def test_what_cannot_be_called_is_refused() -> None:
    """A mistake shows where it is made: at registration."""

    async def later() -> None: ...

    for wrong in (None, "name", later):
        with pytest.raises(TypeError):
            lwcgi.after_restore(wrong)  # type: ignore[type-var]
    assert hooks._after_restore == []


@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(1)])
def test_failing_before_snapshot_is_named(error: BaseException) -> None:
    """The application is not frozen; the error has the hook's name and its traceback."""

    @lwcgi.before_snapshot
    def close_pool() -> None:
        raise error

    with pytest.raises(ApplicationError) as caught:
        hooks.run_before_snapshot()
    assert f"{close_pool.__module__}.{close_pool.__qualname__} failed: " in caught.value.cause
    assert "raise error" in caught.value.traceback
    assert "hooks.py" not in caught.value.traceback.replace("test_hooks.py", "")
    assert caught.value.remedy


def test_failing_after_restore_is_passed_on(calls: list[str]) -> None:
    """The request must not go on without what the hook was to prepare."""

    @lwcgi.after_restore
    def fails() -> None:
        raise ValueError("wrong")

    lwcgi.after_restore(lambda: calls.append("later"))
    with pytest.raises(ValueError, match="wrong"):
        hooks.run_after_restore()
    assert calls == []


def test_failing_after_response_does_not_stop_the_others(calls: list[str]) -> None:
    """Every hook gets its turn; what failed is reported together."""

    def fails() -> None:
        raise SystemExit(1)

    lwcgi.after_response(fails)
    lwcgi.after_response(lambda: calls.append("later"))
    lwcgi.after_response(fails)
    with pytest.raises(BaseExceptionGroup) as caught:
        hooks.run_after_response()
    assert (calls, len(caught.value.exceptions)) == (["later"], 2)


def test_aws_registrations_count(aws: ModuleType, calls: list[str]) -> None:
    """snapshot_restore_py: arguments are passed, order is its own, our hooks are around."""
    aws.register_before_snapshot(calls.append, "aws 1")
    aws.register_before_snapshot(calls.append, "aws 2")
    lwcgi.before_snapshot(lambda: calls.append("ours"))
    hooks.run_before_snapshot()
    assert calls == ["aws 2", "aws 1", "ours"]
    calls.clear()

    @aws.register_after_restore  # type: ignore[misc]
    def restored(*, name: str = "aws 1") -> None:
        calls.append(name)

    aws.register_after_restore(restored, name="aws 2")
    lwcgi.after_restore(lambda: calls.append("ours"))
    hooks.run_after_restore()
    assert calls == ["ours", "aws 1", "aws 2"]


def test_aws_module_is_not_imported_for_its_own_sake() -> None:
    """Without an application that uses it, the registry is not looked for."""
    hooks.run_before_snapshot()
    hooks.run_after_restore()
    assert "snapshot_restore_py" not in sys.modules
