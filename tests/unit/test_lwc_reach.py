# SPDX-License-Identifier: MIT
"""What Python makes of overlays, masks, system calls for another lwC and refused ones."""

from __future__ import annotations

import ctypes
import errno
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lwcgi import lwc
from lwcgi.lwc import _door, callnames, errors, reach


@pytest.fixture(autouse=True)
def _no_door() -> None:
    """Each test begins without an open door."""
    lwc.use_door(None)


def test_threads_are_for_c() -> None:
    """LWC_WITH_THREADS is refused with the reason."""
    with pytest.raises(ValueError, match="cannot be taken along from Python"):
        lwc.create(flags=lwc.Flag(1 << 5))


def test_names_of_system_calls_are_those_of_the_headers() -> None:
    """Each name that the system's headers know has its number here, and the other way round."""
    source = "#include <asm/unistd_64.h>"
    command = ["gcc", "-E", "-dM", "-xc", "-"]
    said = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    numbers = {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)", said)}
    assert len(numbers) > 300
    for name, number in numbers.items():
        assert callnames.number_of(name) == number
        assert callnames.name_of(number) == name
    assert [callnames.name_of(n) for n in (335, 423, 462)] == ["uretprobe", "call 423", "mseal"]


@pytest.mark.parametrize("call", ["opne", "", -1, 512])
def test_system_calls_nobody_knows(call: int | str) -> None:
    """Neither a mistyped name nor a number beyond the table reaches the module."""
    with pytest.raises(ValueError, match="of a system call"):
        lwc.syscall(lwc.ROOT, call, kinds=[lwc.Kind.FILES])
    with pytest.raises(ValueError, match="of a system call"):
        lwc.ROOT.refuse([call])


class Module:
    """Stands in for the module: notes what would be asked, and answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers: list[Any] = []
        monkeypatch.setattr(_door, "abi", lambda fd: (1, 31))
        monkeypatch.setattr(lwc.door.Door.__init__, "__defaults__", ("/dev/null",))
        for call in ("overlay", "restrict", "syscall", "trap", "switch", "grant"):
            monkeypatch.setattr(_door, call, self._ask)

    def _ask(self, door: int, *words: Any) -> Any:
        self.asked.append(words)
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module that is not there."""
    return Module(monkeypatch)


def test_arguments_of_a_system_call(module: Module) -> None:
    """Numbers go as 64 bits, texts and buffers as addresses of what they hold."""
    buffer = bytearray(b"abc")
    lwc.syscall(lwc.ROOT, "openat", -100, "/é", Path("/x"), b"yz", buffer, kinds=[lwc.Kind.FILES])
    [(target, mask, number, words)] = module.asked
    assert (target, mask, number, words[0]) == (lwc.ROOT.fd, 1 << 2, 257, 2**64 - 100)
    assert words[4] == _door.address(memoryview(buffer))
    lwc.syscall(lwc.ROOT, 0, 2**64 - 1, kinds=[lwc.Kind.MEMORY, lwc.Kind.CREDENTIALS])
    assert module.asked[1] == (lwc.ROOT.fd, 1 << 1 | 1 << 3, 0, [2**64 - 1])


def test_texts_end_with_a_zero() -> None:
    """What is handed on as the address of a text is one for C."""
    held: list[memoryview] = []
    address = reach._word("/tmp/é", held, addresses=True)
    assert ctypes.string_at(address) == "/tmp/é".encode()
    assert ctypes.string_at(reach._word(b"abc", held, addresses=True)) == b"abc"


def test_wrong_arguments_of_a_system_call(module: Module) -> None:
    """What cannot be meant is refused before the call."""
    files, memory = [lwc.Kind.FILES], [lwc.Kind.MEMORY]
    wrong: list[tuple[type[Exception], str, Any, Any]] = [
        (ValueError, "takes nothing", [], []),
        (ValueError, "at most six", range(7), files),
        (TypeError, "address is one in the other", ["text"], memory),
        (TypeError, "address is one in the other", [b"x"], [*files, *memory]),
        (TypeError, "bytes-like", [1.5], files),
        (ValueError, "NUL", ["a\0b"], files),
        (OverflowError, "64 bits", [1 << 64], files),
        (OverflowError, "64 bits", [-(1 << 63) - 1], files),
    ]
    for kind, text, args, kinds in wrong:
        with pytest.raises(kind, match=text):
            lwc.syscall(lwc.ROOT, "read", *args, kinds=kinds)
    assert not module.asked


def test_results_of_a_system_call(module: Module) -> None:
    """A negative errno is an OSError of that number; the module's own refusals are LwcErrors."""
    files = [lwc.Kind.FILES]
    module.answers = [-errno.ENOENT, -4096, 7, errors.from_errno("syscall", errno.EACCES)]
    with pytest.raises(FileNotFoundError, match="open for another lwC") as caught:
        lwc.syscall(lwc.ROOT, "open", "/x", kinds=files)
    assert not isinstance(caught.value, lwc.LwcError)
    assert [lwc.syscall(lwc.ROOT, 9, kinds=files) for _ in range(2)] == [-4096, 7]
    with pytest.raises(lwc.NotGranted):
        lwc.syscall(lwc.ROOT, 9, kinds=files)


def test_a_system_call_after_a_signal(module: Module) -> None:
    """One that had not begun is made again; one that was interrupted says so."""
    module.answers = [errors.from_errno("syscall", errno.EINTR), 5, -errno.EINTR]
    assert lwc.syscall(lwc.ROOT, "read", kinds=[lwc.Kind.FILES]) == 5
    with pytest.raises(InterruptedError):
        lwc.syscall(lwc.ROOT, "poll", kinds=[lwc.Kind.FILES])
    assert len(module.asked) == 3


def test_lists_of_refused_calls(module: Module) -> None:
    """Bit n is call n; nothing and everything have modes of their own."""
    context = lwc.Context(9)
    context.refuse(["open", 9])
    context.allow_only(["read", 511])
    context.refuse([])
    context.allow_only([])
    some = (1 << 2 | 1 << 9).to_bytes(64, "little")
    others = ((1 << 512) - 1 - 1 - (1 << 511)).to_bytes(64, "little")
    assert module.asked[:2] == [(9, 2, some), (9, 2, others)]
    assert [words[1] for words in module.asked[2:]] == [0, 1]


def test_a_refused_call_as_a_value(module: Module) -> None:
    """Number, name and arguments; and whether the number means another call."""
    args = (1, 2, 3, 4, 5, 2**64 - 1)
    module.answers = [(2, 5, (257, *args)), (2, 5, (_door.TRAP_COMPAT | 4, *args)), (0, 5, (257,))]
    first = lwc.switch(lwc.ROOT)
    assert (first.args, first.trapped) == ((), lwc.Trapped(257, args))
    assert first.trapped
    assert first.trapped.name == "openat"
    second = lwc.switch(lwc.ROOT).trapped
    assert second == lwc.Trapped(4, args, compat=True)
    assert second
    assert second.name == "32-bit call 4"
    assert lwc.switch(lwc.ROOT).trapped is None


def test_answers_to_a_refused_call(module: Module) -> None:
    """An errno or a result goes along as the contract says, or that the call be made again."""
    module.answers = [(0, -1, ())] * 4
    context = lwc.Context(9)
    lwc.reply(context)
    lwc.reply(context, result=-5)
    lwc.reply(context, errno=errno.EPERM)
    lwc.retry(context)
    words = [asked[2] for asked in module.asked]
    assert words == [(0, 0), (0, 2**64 - 5), (errno.EPERM, 0), (2**64 - 1,)]
    for bad in (-1, 4096):
        with pytest.raises(ValueError, match="errno"):
            lwc.reply(context, errno=bad)
    with pytest.raises(OverflowError):
        lwc.reply(context, result=1 << 64)


def test_masks_and_grants(module: Module) -> None:
    """Narrowing in place and by another name; rights that are granted and taken back."""
    module.answers = [-1, 12]
    context, other = lwc.Context(9), lwc.Context(8)
    spec = lwc.Spec.files(0, 3, lwc.Action.COPY)
    context.restrict([spec])
    assert context.restricted([]).fd == 12
    context.grant(other)
    context.grant(other, lwc.Right.ENTER | lwc.Right.ACCESS)
    context.revoke(other)
    lwc.overlay(context, [spec])
    assert module.asked == [
        (9, 0, [spec.words()]),
        (9, 1, []),
        (9, 8, 1),
        (9, 8, 0x101),
        (9, 8, 0),
        (9, [spec.words()]),
    ]
