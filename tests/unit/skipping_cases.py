# SPDX-License-Identifier: MIT
"""Program: skips the bodies of all kinds of ``with`` statements, in whichever Python runs it.

    python skipping_cases.py /path/to/skipping.py

Writes a JSON object: how many were skipped, what was refused, and what went wrong.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

# With `as t` it is looked at afterwards.
HEADERS = ["with Attempt():", "with Attempt() as t:", "with other() as o, Attempt() as t:"]
HEADERS += ["with Attempt() as t, other() as o:", "with (Attempt() as t):"]

# Each calls ran(), or has nothing to do.
BODIES = {
    "call": "ran()",
    "twice": "ran()\nran()",
    "assign": "x = ran()",
    "chain": "x = y = ran()",
    "annotated": "x: int = ran()",
    "local": "given\nran()",
    "attribute": "given.result = ran()",
    "if": "if ran():\n    pass",
    "if not": "if not given:\n    ran()\nelse:\n    ran()",
    "while": "while ran():\n    pass",
    "while true": "while True:\n    ran()\n    break",
    "for": "for x in ran():\n    pass",
    "with": "with other():\n    ran()",
    "with swallow": "with swallow():\n    ran()",
    "with same": "with Attempt() as u:\n    ran()",
    "try after": "given\ntry:\n    ran()\nexcept BaseException:\n    caught()",
    "try": "try:\n    ran()\nexcept BaseException:\n    caught()",
    "try bare": "try:\n    ran()\nexcept:\n    caught()",
    "try finally": "try:\n    ran()\nfinally:\n    caught()",
    "try twice": "try:\n    try:\n        ran()\n    except:\n        caught()\nfinally:\n    caught()",
    "while try": "while True:\n    try:\n        ran()\n    except:\n        caught()\n    break",
    "for try": "for x in 1, 2:\n    try:\n        ran()\n    except:\n        caught()",
    "group": "try:\n    ran()\nexcept* ValueError:\n    caught()",
    "def": "def f():\n    pass\nran()",
    "class": "class C:\n    ran()",
    "lambda": "f = lambda: 1\nran()",
    "list": "x = [ran() for _ in range(3)]",
    "match": "match ran():\n    case _:\n        pass",
    "assert": "assert ran()",
    "raise": "raise ran()",
    "del": "del ran().x",
    "import": "import a_module_that_is_not_there",
    "docstring": "'text'\nran()",
    "pass": "pass",
    "dots": "...",
}
# Only where there is a function, or a loop, to leave.
LEAVING = {
    "return": "return ran()",
    "bare return": "return",
    "break": "break",
    "continue": "continue",
}

MANY = "\n".join(f"n{number} = 0" for number in range(300))

# Where the statement stands: source, in which BODY is it and what comes behind it.
PLACES = {
    "module": "given = 1\nBODY",
    "function": "def f(given):\n    BODY\nf(1)",
    "arguments": "def f(t, *given, **more):\n    BODY\nf(1, 2, z=3)",
    "cell": "def f(given):\n    t = 0\n    BODY\n    return lambda: t\nf(1)",
    "global": "def f(given):\n    global t\n    BODY\nf(1)",
    "many": f"def f(given):\n{textwrap.indent(MANY, '    ')}\n    BODY\nf(1)",
    "class": "given = 1\nclass C:\n    BODY",
    "method": "class C:\n    def f(given):\n        BODY\nC().f()",
    "generator": "def f(given):\n    yield 1\n    BODY\n    yield 2\nassert [*f(1)] == [1, 2]",
    "async": "async def f(given):\n    BODY\nrun(f(1))",
    "loop": "def f(given):\n    for n in range(3):\n        BODY\nf(1)",
    "while": "def f(given):\n    while True:\n        BODY\n        break\nf(1)",
    "try": "def f(given):\n    try:\n        BODY\n    except BaseException:\n        caught()\nf(1)",
    "finally": "def f(given):\n    try:\n        1 / 0\n    except:\n        BODY\n    finally:\n        BODY\nf(1)",
    "with": "def f(given):\n    with swallow():\n        BODY\nf(1)",
    "decorated": "@(lambda f: f)\ndef f(given=1):\n    if given:\n        BODY\nf()",
}


class Stage:
    """What the statements see, and what they have done."""

    def __init__(self, skip: Callable[[Any, Any], Any]) -> None:
        self.skip = skip
        self.wrong: list[str] = []
        self.behind = 0
        stage = self

        class Attempt:
            def __enter__(self) -> Attempt:
                self.skip = skip(sys._getframe(1), self)
                self.skip.begin()
                return self

            def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
                ended: bool = self.skip.ended(error)
                return ended

        class Other:
            def __init__(self, swallows: bool) -> None:
                self.swallows = swallows

            def __enter__(self) -> Other:
                return self

            def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
                if self.swallows and error is not None:
                    stage.wrong.append(f"it got out: {error!r}")
                return self.swallows

        self.names: dict[str, Any] = {
            "Attempt": Attempt,
            "other": lambda: Other(False),
            "swallow": lambda: Other(True),
            "ran": lambda: self.wrong.append("the body ran"),
            "caught": lambda: self.wrong.append("the body caught it"),
            "behind": self.behind_it,
            "run": self.run,
        }
        self.attempt = Attempt

    def behind_it(self, *bound: object) -> None:
        """Note that the program came past the statement, with the name it had to bind."""
        self.behind += 1
        if not all(isinstance(value, self.attempt) for value in bound):
            self.wrong.append(f"the name is {bound}")

    @staticmethod
    def run(coroutine: Any) -> None:
        """Run a coroutine that waits for nothing."""
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")


def source(place: str, header: str, body: str, one_line: bool) -> str:
    """Return a program with such a statement."""
    statement = f"{header} {body}" if one_line else f"{header}\n{textwrap.indent(body, '    ')}"
    lines = []
    for line in place.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        behind = "behind(t)" if "as t" in header else "behind()"
        text = f"{statement}\n{behind}" if line.strip() == "BODY" else line.strip()
        lines.append(textwrap.indent(text, indent))
    return "\n".join(lines)


REFUSED = {
    "attribute": "class C: pass\nwith Attempt() as C.t:\n    ran()",
    "item": "t = [0]\nwith Attempt() as t[0]:\n    ran()",
    "pair": "with Attempt() as (t, u):\n    ran()",
    "stack": "import contextlib\nwith contextlib.ExitStack() as s:\n    s.enter_context(Attempt())",
    "call": "Attempt().__enter__()",
    "cell of a class": "def f():\n    t = 0\n    class C:\n        nonlocal t\n        with Attempt() as t:\n            ran()\nf()",
}


def refused(skip: Any) -> dict[str, str]:
    """Return what is said of programs that are refused; nothing where one is not."""
    said = {}
    for name, program in REFUSED.items():
        stage = Stage(skip)
        before = sys.gettrace()
        try:
            exec(compile(program, "<case>", "exec"), dict(stage.names))
        except RuntimeError as error:
            said[name] = str(error)
        if stage.wrong or sys.gettrace() is not before:
            said[name] = f"refused too late: {stage.wrong}"
    return said


class Tracer:
    """Sees every line and instruction, as a debugger may."""

    def __init__(self) -> None:
        self.lines: set[int] = set()

    def __call__(self, frame: Any, event: str, arg: object) -> Any:
        """Note lines of the case."""
        frame.f_trace_opcodes = True
        if frame.f_code.co_filename == "<case>" and event == "line":
            self.lines.add(frame.f_lineno)
        return self


def run(stage: Stage, program: str, tracer: Tracer | None) -> None:
    """Run a program under a tracer, which must see what comes behind the statement."""
    code = compile(program, "<case>", "exec")
    sys.settrace(tracer)
    try:
        exec(code, dict(stage.names))
        if sys.gettrace() is not tracer:
            stage.wrong.append("another tracer is left")
    except BaseException as error:  # noqa: BLE001 - told with the rest
        stage.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        sys.settrace(None)
    lines = program.splitlines()
    behind = {number for number, line in enumerate(lines, 1) if "behind(" in line}
    if tracer and not behind <= tracer.lines:
        stage.wrong.append("the tracer does not see what is behind it")


def cases() -> Iterator[tuple[str, str, bool]]:
    """Return programs: a name, the source, and whether a tracer is to watch."""
    for place, header in itertools.product(PLACES, HEADERS):
        bodies = dict(BODIES)
        if place in ("function", "many", "loop"):
            bodies |= {name: body for name, body in LEAVING.items() if "return" in name}
        if place == "loop":
            bodies |= LEAVING
        for name, body in bodies.items():
            full = f"{place}, {header}, {name}"
            yield full, source(PLACES[place], header, body, False), header == HEADERS[1]
            if "\n" not in body:
                yield f"{full}, one line", source(PLACES[place], header, body, True), False


def main(path: str) -> None:
    """Try all combinations."""
    spec = importlib.util.spec_from_file_location("skipping", path)
    assert spec
    assert spec.loader
    skipping = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(skipping)
    skipped, wrong = 0, []
    for name, program, watched in cases():
        stage = Stage(skipping.Skip)
        run(stage, program, Tracer() if watched else None)
        if stage.behind != {"loop": 3, "finally": 2}.get(name.partition(",")[0], 1):
            stage.wrong.append(f"behind it {stage.behind} times")
        if stage.wrong:
            wrong.append([name, *stage.wrong])
        skipped += 1
    report = {"skipped": skipped, "refused": refused(skipping.Skip), "wrong": wrong}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
