# SPDX-License-Identifier: MIT
"""Acts on descriptors: of the request, of the snapshot, and attempts on those of the root."""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import select
import socket
import stat
from typing import TYPE_CHECKING

from tests.apps import observed
from tests.apps.torture.scene import FILES, LIBC, Refused, Scene, act, call

if TYPE_CHECKING:
    from collections.abc import Callable

_TMPFILE = getattr(os, "O_TMPFILE", 0o20200000)
_SYS_CLOSE_RANGE = 436
_CLOSE_RANGE_UNSHARE, _CLOSE_RANGE_CLOEXEC = 2, 4


def _listener() -> int:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("")  # an abstract address of the kernel's choice
        made.listen()
        return made.detach()


def _signals() -> int:
    mask = ctypes.c_uint64(1 << 9)
    return call("signalfd", -1, ctypes.addressof(mask), 0)


_OPENERS: tuple[Callable[[], int | tuple[int, int]], ...] = (
    lambda: os.open(observed.DATA, os.O_RDONLY),
    lambda: os.open(observed.DATA, os.O_RDWR | os.O_CLOEXEC),
    lambda: os.open(observed.FOLDER, os.O_RDONLY | os.O_DIRECTORY),
    lambda: os.open(observed.FOLDER, os.O_RDWR | _TMPFILE, 0o600),
    lambda: os.open("/dev/null", os.O_RDWR),
    lambda: os.open("/dev/zero", os.O_RDONLY),
    lambda: os.open("/proc/self/maps", os.O_RDONLY),
    lambda: os.open("/", os.O_PATH),
    lambda: os.memfd_create("torture"),
    lambda: call("eventfd", 0, 0),
    lambda: call("epoll_create1", 0),
    lambda: call("timerfd_create", 1, 0),
    lambda: call("inotify_init1", 0),
    lambda: os.pidfd_open(os.getpid()),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    _listener,
    _signals,
    os.pipe,
    lambda: tuple(s.detach() for s in socket.socketpair()),  # type: ignore[return-value]
)


@act()
def open_something(scene: Scene, a: int, b: int) -> None:
    """Open a descriptor of one of many kinds, and keep it."""
    made = _OPENERS[a % len(_OPENERS)]()
    scene.descriptors += made if isinstance(made, tuple) else [made]


@act()
def open_many(scene: Scene, a: int, b: int) -> None:
    """Open more descriptors than a list of a small fixed size would hold; close some."""
    made = [os.open("/dev/null", os.O_RDONLY) for _ in range(a * 8)]
    keep = made[: a * b]
    for descriptor in made[len(keep) :]:
        os.close(descriptor)
    scene.descriptors += keep


@act()
def close_own(scene: Scene, a: int, b: int) -> None:
    """Close a descriptor of the request."""
    number = scene.descriptor(a)
    scene.descriptors.remove(number)
    os.close(number)


@act()
def close_inherited(scene: Scene, a: int, b: int) -> None:
    """Close a descriptor of the snapshot; its number answers EBADF from now on."""
    number = FILES[a % len(FILES)]
    os.close(number)
    try:
        os.fstat(number)
    except OSError:
        return
    raise AssertionError(f"descriptor {number} is closed and still there")


@act()
def close_standard(scene: Scene, a: int, b: int) -> None:
    """Close standard input, output or error."""
    os.close(a % 3)


@act()
def duplicate(scene: Scene, a: int, b: int) -> None:
    """dup(2) and fcntl(2) F_DUPFD of any descriptor."""
    number = scene.any_descriptor(a)
    made = os.dup(number) if b % 2 else fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10 * b)
    assert os.path.sameopenfile(made, number)
    scene.descriptors.append(made)


@act()
def duplicate_over(scene: Scene, a: int, b: int) -> None:
    """dup2(2) of any descriptor over any other, or over a number of any kind."""
    source = scene.any_descriptor(a)
    target = scene.any_descriptor(b) if a % 2 else 3 + 4 * b
    os.dup2(source, target, inheritable=bool(b % 3))
    assert os.path.sameopenfile(source, target)
    if target not in FILES and target not in scene.descriptors:
        scene.descriptors.append(target)


@act("robbing")
def duplicate_everywhere(scene: Scene, a: int, b: int) -> None:
    """dup2(2) over every number there is, those of the root among them."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3, 100 + 40 * b):
        try:
            os.dup2(null, number)
        except OSError:
            pass


@act("robbing")
def close_range(scene: Scene, a: int, b: int) -> None:
    """close_range(2), also of what is the root's, also with its flags."""
    flags = (0, 0, _CLOSE_RANGE_CLOEXEC, _CLOSE_RANGE_UNSHARE)[b % 4]
    call("syscall", _SYS_CLOSE_RANGE, a, a + 16 * b * b, flags)


@act("robbing")
def close_sockets(scene: Scene, a: int, b: int) -> None:
    """Close every socket this process can find: listeners and connections of the root, if it can."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.close(int(name))
        except OSError:
            pass


@act()
def pass_along(scene: Scene, a: int, b: int) -> None:
    """Send descriptors by SCM_RIGHTS; receive them, or leave them in flight."""
    one, other = socket.socketpair()
    sent = [scene.any_descriptor(a + n) for n in range(1 + b % 3)]
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sent))]
    try:
        one.sendmsg([b"x"], rights)
        if b % 4:
            _, received, _, _ = socket.recv_fds(other, 10, 10)
            assert len(received) == len(sent)
            for mine, theirs in zip(sent, received, strict=True):
                assert os.path.sameopenfile(mine, theirs)
            scene.descriptors += received
    finally:
        if b % 5:
            one.close()
            other.close()
        else:
            scene.descriptors += [one.detach(), other.detach()]


@act()
def read_and_seek(scene: Scene, a: int, b: int) -> None:
    """Move the offset of a descriptor of the snapshot by reading and seeking."""
    number = FILES[a % len(FILES)]
    os.lseek(number, 10 * b, os.SEEK_SET)
    if a % 2:
        os.read(number, b)


@act()
def write_inherited(scene: Scene, a: int, b: int) -> None:
    """Write to a file of the snapshot the bytes that are there already."""
    number = observed.FILE.fileno()
    if not os.path.samestat(os.fstat(number), observed.DATA.stat()):
        raise Refused("is something else by now")
    fcntl.fcntl(number, fcntl.F_SETFL, 0)  # no O_APPEND
    os.lseek(number, a * 10, os.SEEK_SET)
    os.write(number, b"0123456789" * b)


@act()
def change_file_flags(scene: Scene, a: int, b: int) -> None:
    """Status flags, close-on-exec and owner of any descriptor."""
    number = scene.any_descriptor(a)
    if b % 3 == 0:
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        fcntl.fcntl(number, fcntl.F_SETFL, flags ^ os.O_NONBLOCK ^ os.O_APPEND)
    elif b % 3 == 1:
        os.set_inheritable(number, bool(b % 2))
    else:
        fcntl.fcntl(number, fcntl.F_SETOWN, os.getpid())


@act()
def lock(scene: Scene, a: int, b: int) -> None:
    """flock(2), POSIX and OFD record locks on a file of the snapshot or the request."""
    number = scene.any_descriptor(a) if a % 2 else observed.FILE.fileno()
    if b % 3 == 0:
        fcntl.flock(number, (fcntl.LOCK_EX if b % 2 else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    elif b % 3 == 1:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB, 10)
    else:
        fcntl.fcntl(number, fcntl.F_OFD_SETLK, observed.WRITE_LOCK)


@act()
def pump(scene: Scene, a: int, b: int) -> None:
    """sendfile(2), splice(2) and pread(2) from a file of the snapshot."""
    number = observed.SECOND.fileno()
    reader, writer = os.pipe()
    scene.descriptors += [reader, writer]
    if b % 2:
        sent = os.sendfile(writer, number, None if a % 2 else 5 * a, 50)
    else:
        sent = call("splice", number, 0, writer, 0, 50, 0)
    assert len(os.read(reader, 100)) == sent if sent else True
    os.pread(number, 10, a)


@act()
def watch(scene: Scene, a: int, b: int) -> None:
    """epoll(7), poll(2) and select(2) on a pipe."""
    reader, writer = os.pipe()
    poller = select.epoll()
    poller.register(reader, select.EPOLLIN)
    scene.kept.append(poller)
    scene.descriptors += [reader, writer]
    assert poller.poll(0) == []
    os.write(writer, b"x")
    assert poller.poll(10) == [(reader, select.EPOLLIN)]
    if reader < 1024:
        assert select.select([reader], [], [], 10)[0] == [reader]


@act()
def talk(scene: Scene, a: int, b: int) -> None:
    """A TCP connection to oneself, closed or left open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.socket()
        client.connect(server.getsockname())
        peer, _ = server.accept()
    client.sendall(b"y" * (a + 1) * 100)
    assert peer.recv(100)
    if b % 2:
        scene.descriptors += [client.detach(), peer.detach()]
    else:
        client.close()
        peer.close()


@act()
def make_file(scene: Scene, a: int, b: int) -> None:
    """Write, rename, read and remove a file."""
    path = observed.FOLDER / f"made-{os.getpid()}-{a}"
    path.write_bytes(b"z" * a * b)
    other = path.with_suffix(".other")
    path.rename(other)
    assert other.stat().st_size == a * b
    other.unlink()


@act()
def unlock_c_stdio(scene: Scene, a: int, b: int) -> None:
    """A FILE of the C library, opened and left with unwritten bytes."""
    LIBC.fopen.restype = ctypes.c_void_p
    stream = LIBC.fopen(b"/dev/null", b"w")
    if not stream:
        raise Refused("cannot be opened")
    LIBC.fputs(b"unwritten", ctypes.c_void_p(stream))
    if b % 2:
        LIBC.fclose(ctypes.c_void_p(stream))
