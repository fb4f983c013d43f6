# SPDX-License-Identifier: MIT
"""Builds the module, boots kernels with it, and runs the C tests there.

$ python -m tests.vm --kernel 6.12-cloud
$ python -m tests.vm --kernel debug-6.1 reset_data users_are_separate
$ python -m tests.vm --kernel 6.1-cloud --mutation reset_files reset_descriptors
$ python -m tests.vm --kernel 6.1-cloud --shell-command 'cat /proc/slabinfo; /lwc-suite --list'
$ python -m tests.vm --kernel 6.12 --in-checkout '$PYTHON -m pytest -q tests/unit/test_lwc.py'
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tests.vm import guest, names, runs
from tests.vm.errors import VmError
from tests.vm.kernels import PACKAGES

if TYPE_CHECKING:
    from tests.vm.verdict import Verdict


def _parser() -> argparse.ArgumentParser:
    first, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm",
        description=first,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kernel", action="append", help=f"{', '.join(PACKAGES)}, debug-6.1, debug-6.12, or all")
    add("--long", action="store_true", help="also the tests whose names begin with long_")
    add("--define", action="append", default=[], help="for the preprocessor of the module")
    add(
        "--mutation",
        choices=names.mutations(),
        metavar="STEP",
        help="a step of the clean-up to leave out",
    )
    add("--parameters", default="", help="of the module, as insmod takes them")
    add("--shell-command", help="run this in the guest instead of the tests")
    add("--in-checkout", help="run this in this checkout, mounted in the guest (not -cloud)")
    add("--seconds", type=float, default=300, help="time limit of a boot (a debug kernel: 6 times)")
    add("tests", nargs="*", help="names of tests; default: all quick ones")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _boot(name: str, options: argparse.Namespace) -> Verdict:
    defines, parameters = list(options.define), options.parameters
    if options.mutation:
        defines.append("LWC_MUTATIONS")
        parameters += f" leave_out={options.mutation}"
    if options.in_checkout:
        return guest.run(
            name,
            options.in_checkout,
            label="by-hand",
            defines=defines,
            parameters=parameters,
            seconds=options.seconds,
            watch=_tell,
        )
    return runs.suite(
        name,
        options.tests,
        label="by-hand",
        arguments=["--long"] if options.long else [],
        defines=defines,
        parameters=parameters,
        script=options.shell_command,
        seconds=options.seconds,
        watch=_tell,
    )


def main() -> int:
    """Run what the command line asks for; return 0 if all is well."""
    options = _parser().parse_args()
    names = options.kernel or ["6.1-cloud"]
    good = True
    for name in PACKAGES if names == ["all"] else names:
        try:
            verdict = _boot(name, options)
        except VmError as error:
            _say(f"{name}: {error}")
            good = False
            continue
        if verdict.problems:
            _say(verdict.report())
        for problem in verdict.problems:
            _say(f"PROBLEM {problem}")
        _say(verdict.summary())
        good &= verdict.is_good
    return 0 if good else 1


class _Teller:
    """Prints what the guest tells, but for the kernel's log and the events of the protocol."""

    def __init__(self) -> None:
        self._in_log = False

    def __call__(self, line: str) -> None:
        if line.startswith("LWCVM dmesg-"):
            self._in_log = line.endswith("begin")
        elif not self._in_log and not line.startswith("LWCVM "):
            _say(line)


_tell = _Teller()


if __name__ == "__main__":
    sys.exit(main())
