# SPDX-License-Identifier: MIT
"""Acts that start others: children of every kind, threads, tasks that share memory."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.apps import mess
from tests.apps.torture.scene import (
    ANONYMOUS,
    EXEC,
    FILES,
    GRAPH,
    LIBC,
    PAGE,
    PLAIN,
    PRIVATE,
    READ,
    SCRIBBLED,
    WRITE,
    Scene,
    act,
    call,
    map_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CLONE_VM, _CLONE_FS, _CLONE_FILES, _CLONE_VFORK = 0x100, 0x200, 0x400, 0x4000

# inc qword [rdi]; jmp to it: a task that writes to memory until it is killed, and needs nothing of
# the interpreter or the C library.
_SCRIBBLE = bytes.fromhex("48ff07ebfb")
_CODE = map_at(0, 1, READ | WRITE | EXEC, PRIVATE | ANONYMOUS)
ctypes.memmove(_CODE, _SCRIBBLE, len(_SCRIBBLE))
_scribble = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_CODE)


def _fork(job: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            job()
        finally:
            os._exit(7)
    return pid


def _sleep() -> None:
    while True:
        time.sleep(3600)


def _spoil() -> None:
    for page in range(len(PLAIN.prot)):
        PLAIN.write(page, 0xDEAD)
    GRAPH.clear()
    for number in FILES:
        os.lseek(number, 7, os.SEEK_SET)


def _wait(pid: int, code: int = 7) -> None:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return  # somebody ignores SIGCHLD
    assert os.waitstatus_to_exitcode(status) == code, status


_CHILD_JOBS: tuple[Callable[[], object], ...] = (
    lambda: None,
    _sleep,
    _spoil,
    lambda: _fork(_sleep),
    lambda: _wait(_fork(lambda: None)),
    lambda: os.closerange(0, 100),
    lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()), _sleep()),
    lambda: (os.setsid(), os.setpgid(0, 0)),
    lambda: (os.kill(os.getpid(), signal.SIGSTOP), _sleep()),
)


@act()
def fork_and_leave(scene: Scene, a: int, b: int) -> None:
    """Children doing something, left running or as zombies."""
    for n in range(1 + b % 3):
        _fork(_CHILD_JOBS[(a + n) % len(_CHILD_JOBS)])


@act()
def fork_and_wait(scene: Scene, a: int, b: int) -> None:
    """A child whose end is waited for; it may spoil its copy, crash, or change descriptors."""
    jobs = (lambda: None, _spoil, lambda: os.closerange(0, 100), lambda: os.chdir("/"))
    if a % 5 == 4:
        pid = _fork(lambda: os.kill(os.getpid(), signal.SIGKILL))
        _wait(pid, -signal.SIGKILL)
    else:
        _wait(_fork(jobs[a % 5]))


@act()
def fork_and_stop_parent(scene: Scene, a: int, b: int) -> None:
    """A child stops its parent and lets it go on."""
    parent = os.getpid()

    def job() -> None:
        os.kill(parent, signal.SIGSTOP)
        time.sleep(0.001 * (a % 8))
        os.kill(parent, signal.SIGCONT)

    _wait(_fork(job))


@act()
def fork_both(scene: Scene, a: int, b: int) -> None:
    """A child that comes to the end of the request as its parent does."""
    if os.fork() == 0:
        scene.copy = True


def _keep_moving() -> None:
    while True:
        for number in FILES:
            os.lseek(number, 3, os.SEEK_SET)
        time.sleep(0.001)


@act("detaching")
def detach(scene: Scene, a: int, b: int) -> None:
    """A child in a session of its own, which may live on and use the files it inherited."""
    reader, writer = os.pipe()

    def job() -> None:
        os.setsid()
        os.write(writer, b"x")
        if b % 2:
            _keep_moving()
        os.closerange(0, 100)
        _sleep()

    _fork(job)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)


@act()
def execute(scene: Scene, a: int, b: int) -> None:
    """A forked child that becomes another program; waited for or left."""
    pid = _fork(lambda: os.execv("/bin/sh", ["sh", "-c", "exit 7" if a % 2 else "sleep 1000"]))
    if a % 2:
        _wait(pid, 7)


@act()
def spawn(scene: Scene, a: int, b: int) -> None:
    """posix_spawn(3)."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    script = "exit 3" if a % 2 else "sleep 1000"
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], {}, file_actions=actions)
    if a % 2:
        _wait(pid, 3)


@act()
def run_program(scene: Scene, a: int, b: int) -> None:
    """The subprocess module: run to the end, or left running with its pipes."""
    pipe = subprocess.PIPE
    if a % 3 == 0:
        done = subprocess.run(["/bin/cat"], input=b"w" * b * 1000, stdout=pipe, check=True)
        assert done.stdout == b"w" * b * 1000
    elif a % 3 == 1:
        scene.kept.append(subprocess.Popen(["/bin/cat"], stdin=pipe, stdout=pipe))
    else:
        scene.kept.append(subprocess.Popen(["/bin/sleep", "1000"], start_new_session=False))


@act()
def run_shell(scene: Scene, a: int, b: int) -> None:
    """system(3), or popen with its output read."""
    if a % 2:
        os.system("exit 0")
    else:
        with os.popen("echo torture") as output:
            output.read()


def _start(scene: Scene, job: Callable[[], object]) -> threading.Thread:
    scene.alone = False
    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    scene.kept.append(thread)
    return thread


@act("parting")
def threads_joined(scene: Scene, a: int, b: int) -> None:
    """Threads that write, map, open, and end before the request does."""
    made: list[int] = []

    def job() -> None:
        GRAPH[f"thread {len(made)}"] = bytearray(b * 1000)
        start = map_at(0, 4, READ | WRITE, PRIVATE | ANONYMOUS)
        ctypes.memset(start, 1, 4 * PAGE)
        if a % 2:
            call("munmap", start, 4 * PAGE)
        made.append(os.open("/dev/null", os.O_RDONLY))

    for thread in [_start(scene, job) for _ in range(1 + a % 4)]:
        thread.join()
    scene.descriptors += made


@act("parting")
def threads_left(scene: Scene, a: int, b: int) -> None:
    """Threads that sleep, work or write to memory when the request ends."""
    jobs: tuple[Callable[[], object], ...] = (
        _sleep,
        lambda: [GRAPH.update(busy=n) for n in range(10**9)],
        lambda: _scribble(SCRIBBLED.start),
        lambda: [os.close(os.open("/dev/null", os.O_RDONLY)) for _ in range(10**9)],
    )
    for n in range(1 + a % 3):
        _start(scene, jobs[(b + n) % len(jobs)])


@act("parting")
def thread_forks(scene: Scene, a: int, b: int) -> None:
    """A thread that forks."""
    thread = _start(scene, lambda: _fork(_sleep if a % 2 else _spoil))
    thread.join()


@act("parting")
def pool(scene: Scene, a: int, b: int) -> None:
    """A pool of threads, shut down or not."""
    scene.alone = False
    executor = ThreadPoolExecutor(2)
    assert sum(executor.map(abs, range(b))) == sum(range(b))
    if a % 2:
        executor.shutdown()
    else:
        scene.kept.append(executor)


@act("parting")
def watchdog(scene: Scene, a: int, b: int) -> None:
    """The thread of faulthandler, which is no Python thread."""
    scene.alone = False
    faulthandler.dump_traceback_later(10_000)
    if a % 3 == 0:
        faulthandler.cancel_dump_traceback_later()


@act()
def loop(scene: Scene, a: int, b: int) -> None:
    """asyncio: an event loop with its descriptors, closed at the end or left."""

    async def job() -> int:
        await asyncio.sleep(0.0001)
        return a

    if b % 2:
        assert asyncio.run(job()) == a
    else:
        made = asyncio.new_event_loop()
        scene.kept.append(made)
        assert made.run_until_complete(job()) == a


@act("parting")
def clone_sharing(scene: Scene, a: int, b: int) -> None:
    """A raw task that shares this memory, perhaps descriptors and directory, and goes on writing."""
    stack = map_at(0, 4, READ | WRITE, PRIVATE | ANONYMOUS)
    flags = _CLONE_VM | (0, _CLONE_FS, _CLONE_FILES, _CLONE_FS | _CLONE_FILES)[a % 4]
    top = ctypes.c_void_p(stack + 4 * PAGE)
    target = ctypes.c_void_p(SCRIBBLED.start)
    if LIBC.clone(ctypes.c_void_p(_CODE), top, flags | signal.SIGCHLD, target) < 0:
        raise OSError(ctypes.get_errno(), "clone")


@act()
def leave_zombie(scene: Scene, a: int, b: int) -> None:
    """A dead child nobody waited for; and a grandchild without parent."""
    mess.ACTS["leave_zombie"]()
    mess.ACTS["leave_orphan"]()


_SPOILERS = (
    "leak_globals", "spoil_c_memory", "give_pages_back", "protect", "grow", "map_more", "move_break",
    "load_library",
    "replace_file", "close_file", "lower_limits", "lock_memory",
)  # fmt: skip


@act()
def spoil(scene: Scene, a: int, b: int) -> None:
    """One of the acts of the contract's tests."""
    mess.ACTS[_SPOILERS[a % len(_SPOILERS)]]()


@act("robbing")
def close_everything(scene: Scene, a: int, b: int) -> None:
    """Every descriptor from 3 up, whoever it belongs to."""
    mess.ACTS["close_everything"]()


@act()
def read_proc(scene: Scene, a: int, b: int) -> None:
    """Read what /proc tells of this process, and of its root."""
    pid = os.getpid() if a % 2 else os.getppid()
    for name in ("maps", "status", "stat", "cmdline", "limits"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            file.read()
