# SPDX-License-Identifier: MIT
"""Finding the application, and saying why it cannot be found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lwcgi import loader
from lwcgi.config import Settings
from lwcgi.errors import ApplicationError

GOOD = "def app(environ, start_response):\n    return [b'it is me']\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory to load from, entered; modules and search path are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def load(app: str, **settings: object) -> object:
    """Return the loaded application."""
    return loader.load(Settings(**{"app": app, **settings}))


def failure(app: str, **settings: object) -> ApplicationError:
    """Return the error that loading ends with."""
    with pytest.raises(ApplicationError) as caught:
        load(app, **settings)
    return caught.value


def test_application_of_the_working_directory(project: Path) -> None:
    """A module of the working directory is found, although that is not on sys.path."""
    (project / "site_one.py").write_text(GOOD)
    assert load("site_one:app") is sys.modules["site_one"].app  # type: ignore[attr-defined]


def test_dotted_names_on_both_sides(project: Path) -> None:
    """Both halves of MODULE:CALLABLE may be dotted."""
    (project / "pack").mkdir()
    (project / "pack" / "inner.py").write_text(
        f"class holder:\n    @staticmethod\n    {GOOD.replace(chr(10), chr(10) + '    ')}"
    )
    assert callable(load("pack.inner:holder.app"))


def test_wrapped_function(project: Path) -> None:
    """What counts is how the wrapper is called: `Request.application` makes WSGI of one argument."""
    (project / "wrapped.py").write_text(
        "from werkzeug.wrappers import Request, Response\n"
        "@Request.application\ndef app(request):\n    return Response('hello')\n"
    )
    assert callable(load("wrapped:app"))


def test_chdir_and_pythonpath(project: Path) -> None:
    """--chdir becomes the working directory, --pythonpath is relative to it and searched."""
    (project / "here" / "lib").mkdir(parents=True)
    (project / "here" / "lib" / "site_two.py").write_text(GOOD)
    load("site_two:app", chdir="here", pythonpath=("lib",))
    assert Path.cwd() == project / "here"


def test_factory(project: Path) -> None:
    """With --factory the callable is called once and what it returns is served."""
    (project / "site_three.py").write_text(GOOD + "def make():\n    return app\n")
    assert load("site_three:make", factory=True) is load("site_three:app")


def test_missing_module(project: Path) -> None:
    """A module that is not there is named, without a traceback, with where it was looked for."""
    error = failure("nowhere.at_all:app")
    assert error.cause == f"there is no module nowhere in {project} or on the Python path"
    assert "--pythonpath" in error.remedy
    assert not error.traceback


def test_missing_submodule(project: Path) -> None:
    """A module missing from a package that is there is named in full."""
    (project / "package_one").mkdir()
    (project / "package_one" / "__init__.py").touch()
    assert "no module package_one.site" in failure("package_one.site:app").cause


def test_missing_dependency(project: Path) -> None:
    """A module the application imports and lacks is its own error, with its traceback."""
    (project / "needy.py").write_text("import not_installed_anywhere\n")
    error = failure("needy:app")
    assert "there is no module not_installed_anywhere" in error.cause
    assert sys.executable in error.remedy
    assert f'File "{project}/needy.py", line 1' in error.traceback


def test_missing_itself(project: Path) -> None:
    """An application that imports a misspelt name of its own package shows its traceback."""
    (project / "package_two").mkdir()
    (project / "package_two" / "__init__.py").write_text("import package_two.lost\n")
    error = failure("package_two:app")
    assert "there is no module package_two.lost" in error.cause
    assert "__init__.py" in error.traceback


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def x(:", "SyntaxError"),
        ("import sys; sys.exit('no configuration')", "SystemExit: no configuration"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_module_that_fails(project: Path, text: str, summary: str) -> None:
    """Whatever an import ends with is reported, its traceback free of lwcgi's own frames."""
    (project / "failing.py").write_text(text)
    error = failure("failing:app")
    assert summary in error.cause
    assert f"{project}/failing.py" in error.traceback
    assert loader.__file__ not in error.traceback
    assert "importlib" not in error.traceback


def test_misspelt_callable(project: Path) -> None:
    """A name the module lacks is answered with the nearest one it has."""
    (project / "site_four.py").write_text(GOOD.replace("app", "application"))
    error = failure("site_four:aplication")
    assert error.cause == "site_four has no name aplication"
    assert error.remedy == "did you mean site_four:application?"


def test_usual_name_is_proposed(project: Path) -> None:
    """A wrong name like no other is answered with a usual one that is there."""
    (project / "site_five.py").write_text(GOOD)
    assert failure("site_five:server").remedy == "did you mean site_five:app?"


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        ("app = {}", "not callable, it is of type dict", "--factory"),
        ("def app():\n    pass", "cannot be called as a WSGI application", "--factory"),
        ("def app(request):\n    pass", "cannot be called", "start_response"),
        ("async def app(scope, receive, send):\n    pass", "asynchronous (ASGI)", "a2wsgi"),
    ],
)
def test_not_an_application(project: Path, text: str, cause: str, remedy: str) -> None:
    """What can be seen not to be a WSGI application is refused before the first request."""
    (project / "other.py").write_text(text)
    error = failure("other:app")
    assert cause in error.cause
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("def make():\n    return None", "returned NoneType"),
        ("def make():\n    raise LookupError('no database')", "LookupError: no database"),
    ],
)
def test_factory_that_fails(project: Path, text: str, cause: str) -> None:
    """A factory that raises, or makes no application, is named as the cause."""
    (project / "maker.py").write_text(text)
    assert cause in failure("maker:make", factory=True).cause


def test_missing_directory(project: Path) -> None:
    """A --chdir that is not there is said so."""
    error = failure("site:app", chdir="lost")
    assert error.cause == f"cannot enter the directory lost: {os.strerror(2)}"


def test_hand_over_from_within_the_code_that_is_loaded(project: Path) -> None:
    """A module that hands its application over while it is imported is not returned to."""

    class TakenError(Exception):
        """Stands for the end of the process, which is what really follows."""

    taken = []

    def take(application: object) -> None:
        taken.append(application)
        raise TakenError

    (project / "serves.py").write_text(
        GOOD + "from lwcgi import loader\nassert loader.is_expected()\nloader.hand_over(app)\n"
    )
    loader.expect(take)
    try:
        assert "TakenError" in failure("serves:app").cause
    finally:
        loader.expect(None)
    assert [x.__name__ for x in taken] == ["app"]
    assert not loader.is_expected()


def test_hand_over_to_nobody() -> None:
    """Where nothing is being loaded, nothing can be handed over."""
    with pytest.raises(RuntimeError, match="no application is being loaded"):
        loader.hand_over(lambda environ, start_response: [])


def test_an_error_of_ours_in_a_factory_is_kept(project: Path) -> None:
    """A factory of lwcgi's own knows best what is wrong."""
    (project / "own.py").write_text(
        "from lwcgi.errors import ApplicationError\n"
        "def make():\n    raise ApplicationError('cause', 'remedy')\n"
    )
    error = failure("own:make", factory=True)
    assert (error.cause, error.remedy) == ("cause", "remedy")
