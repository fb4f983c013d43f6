# SPDX-License-Identifier: MIT
"""The bindings of the kernel module, as far as they go without it."""

from __future__ import annotations

import errno
import mmap
import os
import pickle
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from lwcgi import lwc
from lwcgi.lwc import _door, errors
from lwcgi.lwc._door import _lwc

ROOT = Path(__file__).parents[2]
HEADER = (ROOT / "kmod" / "uapi" / "lwc.h").read_text()
DOOR = ROOT / "lwcgi" / "lwc" / "_door"


@pytest.fixture(autouse=True)
def _no_door() -> None:
    """Each test begins without an open door."""
    lwc.use_door(None)


# --- the contract -------------------------------------------------------------


def test_sizes_are_those_of_the_contract() -> None:
    """Every structure is as large as the header says, here and for the compiler."""
    sizes = {
        "lwc_abi": 8,
        "lwc_spec": 24,
        "lwc_create": 96,
        "lwc_switch": 80,
        "lwc_clone": 16,
        "lwc_reset": 40,
        "lwc_grant": 16,
        "lwc_info": 64,
        "lwc_overlay": 24,
        "lwc_restrict": 24,
        "lwc_syscall": 72,
        "lwc_trap": 16,
        "lwc_safepoint": 88,
    }
    stated = re.findall(r"^LWC_ASSERT_SIZE\((\w+), (\d+)\);", HEADER, re.MULTILINE)
    assert {name: int(size) for name, size in stated} == sizes
    assert {name: _lwc.ffi.sizeof(f"struct {name}") for name in sizes} == sizes


def test_every_structure_of_the_contract_is_declared() -> None:
    """No structure of the header is missing in the binding, and no field of one."""
    declared = (DOOR / "lwc.cdef.h").read_text()
    fields = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
    for name, body in fields.findall(HEADER):
        [mine] = [other for found, other in fields.findall(declared) if found == name]
        body = body.replace("LWC_MAX_ARGS", str(_door.MAX_ARGS))
        assert [line.strip() for line in body.splitlines()] == [
            line.strip() for line in mine.splitlines()
        ]


def test_numbers_are_those_of_the_header() -> None:
    """The numbers of flags and kinds come from the header, not from a copy."""
    assert list(lwc.Kind) == [1, 2, 3]
    assert list(lwc.Action) == [0, 1, 2]
    assert [flag.value for flag in lwc.Flag] == [1, 2, 4, 8, 16]
    assert [state.value for state in lwc.State] == [1, 2, 4, 8, 16]
    assert [feature.value for feature in lwc.Feature] == [1, 2, 4, 8, 16]
    assert [right.value for right in lwc.Right] == [1, 256]
    assert lwc.ALL == 2**64 - 1
    assert (lwc.SELF.fd, lwc.ROOT.fd) == (-10, -11)
    assert lwc.MAX_ARGS == 8
    assert _lwc.lib.LWC_IOC_ABI == (2 << 30) | (8 << 16) | (0xB7 << 8)


def test_the_shim_compiles_without_a_warning(tmp_path: Path) -> None:
    """Warnings are errors for the C of the binding."""
    includes = [f"-I{ROOT / 'kmod' / 'uapi'}", f"-I{sysconfig.get_path('include')}"]
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", *includes, "-c"]
    subprocess.run([*command, DOOR / "shim.c", "-o", tmp_path / "shim.o"], check=True)


# --- specifications -----------------------------------------------------------


def test_specifications_are_packed_as_the_contract_says() -> None:
    """Kind, action, start and end lie one after the other, little end first."""
    specs = [
        lwc.Spec.memory(0x7F0000001000, 0x7F0000003000, lwc.Action.SHARE),
        lwc.Spec.files(3, 10, lwc.Action.UNMAP),
        lwc.Spec.credentials(lwc.Action.SHARE),
        lwc.Spec.files(0, lwc.ALL, lwc.Action.COPY),
        lwc.Spec.files(0, lwc.ALL, lwc.Action.UNMAP, may_access=True),
    ]
    packed = _door.pack([spec.words() for spec in specs])
    expected = """
        01 00 00 00  01 00 00 00  00 10 00 00 00 7f 00 00  00 30 00 00 00 7f 00 00
        02 00 00 00  02 00 00 00  03 00 00 00 00 00 00 00  0a 00 00 00 00 00 00 00
        03 00 00 00  01 00 00 00  00 00 00 00 00 00 00 00  ff ff ff ff ff ff ff ff
        02 00 00 00  00 00 00 00  00 00 00 00 00 00 00 00  ff ff ff ff ff ff ff ff
        02 00 00 00  02 01 00 00  00 00 00 00 00 00 00 00  ff ff ff ff ff ff ff ff
    """
    assert bytes(_lwc.ffi.buffer(packed)) == bytes.fromhex(expected)


def test_a_mapping_as_a_specification() -> None:
    """All pages of a mapping, the last one whole; of one that can be written only."""
    mapping = mmap.mmap(-1, mmap.PAGESIZE + 1)
    spec = lwc.Spec.mapping(mapping, lwc.Action.UNMAP)
    assert (spec.kind, spec.action) == (lwc.Kind.MEMORY, lwc.Action.UNMAP)
    assert spec.start % mmap.PAGESIZE == 0
    assert spec.end - spec.start == 2 * mmap.PAGESIZE
    ranges = re.findall(r"^(\w+)-(\w+) ", Path("/proc/self/maps").read_text(), re.MULTILINE)
    assert any(int(a, 16) <= spec.start < spec.end <= int(b, 16) for a, b in ranges)
    with pytest.raises((TypeError, BufferError)):
        lwc.Spec.mapping(mmap.mmap(-1, 1, prot=mmap.PROT_READ), lwc.Action.COPY)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_numbers_must_fit(number: int) -> None:
    """An address or descriptor that has no place in the structure is refused before the call."""
    with pytest.raises(OverflowError):
        _door.pack([lwc.Spec.memory(0, number, lwc.Action.COPY).words()])


def test_specifications_are_values() -> None:
    """Equal ones are equal, and none can be changed."""
    spec = lwc.Spec.files(1, 2, lwc.Action.COPY)
    assert spec == lwc.Spec(lwc.Kind.FILES, lwc.Action.COPY, 1, 2)
    assert len({spec, lwc.Spec.files(1, 2, lwc.Action.COPY)}) == 1
    with pytest.raises(AttributeError):
        spec.start = 5  # type: ignore[misc] # frozen


# --- names --------------------------------------------------------------------


def test_well_known_names_cannot_be_closed() -> None:
    """SELF and ROOT are no descriptors."""
    for context in (lwc.SELF, lwc.ROOT):
        with pytest.raises(ValueError, match="cannot be closed"):
            context.close()
    assert [repr(lwc.SELF), repr(lwc.ROOT)] == ["<lwC SELF>", "<lwC ROOT>"]


def test_a_name_is_closed_once() -> None:
    """The descriptor belongs to the name; a closed one says so."""
    fd = os.open("/dev/null", os.O_RDONLY)
    with lwc.Context(fd) as context:
        assert context.fd == fd
        assert repr(context) == f"<lwC {fd}>"
    context.close()
    with pytest.raises(OSError):
        os.fstat(fd)
    with pytest.raises(ValueError, match="closed"):
        _ = context.fd
    assert repr(context) == "<lwC closed>"


def test_too_many_words() -> None:
    """More than eight words are refused before the call."""
    with pytest.raises(ValueError, match="at most 8"):
        lwc.switch(lwc.SELF, *range(9))


# --- the door -----------------------------------------------------------------


def test_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the module every call says how to load it."""
    monkeypatch.setattr(lwc.door.Door.__init__, "__defaults__", ("/dev/no-lwc-here",))
    for call in (lwc.create, lwc.snapshot, lwc.SELF.info, lambda: lwc.switch(lwc.ROOT)):
        with pytest.raises(lwc.LwcUnavailable, match="modprobe lwc") as caught:
            call()
        assert caught.value.errno == errno.ENOENT


def test_no_right_to_the_door() -> None:
    """EACCES names the remedy."""
    error = errors.unavailable(lwc.DEVICE, errno.EACCES)
    assert "group" in error.remedy
    assert str(error).startswith("[Errno 13] /dev/lwc may not be opened by this user; ")


def test_something_else_is_no_door() -> None:
    """A device or file that does not know the calls is refused, and closed again."""
    before = os.listdir("/proc/self/fd")
    for path in ("/dev/null", __file__):
        with pytest.raises(lwc.LwcUnavailable, match=r"not the door|cannot be opened"):
            lwc.Door(path)
    assert os.listdir("/proc/self/fd") == before


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that speaks another version of the contract is not used."""
    monkeypatch.setattr(_door, "abi", lambda fd: (2, 0))
    with pytest.raises(lwc.LwcUnavailable, match=r"version 2 .* 1; use a module and a package"):
        lwc.Door("/dev/null")


def test_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows version and features, and whether it is still open."""
    monkeypatch.setattr(_door, "abi", lambda fd: (1, 5))
    with lwc.Door("/dev/null") as door:
        assert door.abi == 1
        assert door.features == lwc.Feature.OVERLAY | lwc.Feature.SYSCALL
        assert door.is_open()
        os.dup2(os.open(__file__, os.O_RDONLY | os.O_CLOEXEC), door.fd)
        assert not door.is_open()
    assert not door.is_open()
    door.close()


# --- errors -------------------------------------------------------------------

KINDS = {
    errno.ESTALE: lwc.StaleContext,
    errno.EPERM: lwc.ForeignContext,
    errno.EACCES: lwc.NotGranted,
    errno.EBUSY: lwc.ContextBusy,
    errno.EROFS: lwc.FrozenContext,
    errno.EOPNOTSUPP: lwc.NotSupported,
    errno.ENOSPC: lwc.LimitReached,
    errno.EDQUOT: lwc.LimitReached,
    errno.ENOTRECOVERABLE: lwc.NotRecoverable,
    errno.ENOSYS: lwc.NotInModule,
}
CALLS = ("abi", "create", "switch", "clone", "reset", "grant", "info")
CALLS += ("overlay", "restrict", "syscall", "trap")
# Every name of an errno in the header.
NAMED = sorted({name for name in re.findall(r"\bE[A-Z]+\b", HEADER) if hasattr(errno, name)})


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("call", CALLS)
def test_every_error_says_why(call: str, name: str) -> None:
    """Each errno of the contract has its type, and a sentence of our own for each call."""
    number = getattr(errno, name)
    error = errors.from_errno(call, number)
    assert type(error) is KINDS.get(number, lwc.LwcError)
    assert isinstance(error, OSError)
    assert error.errno == number
    assert error.cause.startswith(f"{call}: ")
    assert os.strerror(number) not in str(error)
    assert str(error).startswith(f"[Errno {number}] {error.cause}")
    assert str(error).endswith(error.remedy)


def test_an_unknown_error_is_told_by_its_name() -> None:
    """What the contract does not name keeps the system's text."""
    assert str(errors.from_errno("info", errno.EXDEV)).endswith("info: Invalid cross-device link")


def test_errors_can_be_pickled() -> None:
    """An error that crosses a process boundary keeps type, number and text."""
    error = errors.from_errno("reset", errno.ENOTRECOVERABLE)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.errno, str(again)) == (type(error), error.errno, str(error))


def test_what_the_contract_names() -> None:
    """The list above is the header's."""
    assert {"ESTALE", "ENOTRECOVERABLE", "EDQUOT", "EINTR", "EFAULT"} <= {*NAMED}
    assert {getattr(errno, name) for name in NAMED} >= KINDS.keys()
