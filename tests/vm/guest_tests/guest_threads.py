# SPDX-License-Identifier: MIT
"""Threads of the interpreter, beside lwCs and in them."""

from __future__ import annotations

import mmap
import threading
import time
import warnings

from lwcgi import lwc
from tests.vm.guest_tests.programs import program, start, visit


@program
def test_the_thread_is_the_main_thread() -> None:
    """In a new lwC there is one thread, the main one, with the ident it had."""
    ident = threading.get_ident()

    def body(entered: lwc.Entered) -> int:
        assert threading.get_ident() == ident
        assert threading.current_thread() is threading.main_thread()
        assert threading.main_thread().ident == ident
        assert threading.active_count() == 1
        assert threading.get_native_id() > 0
        return 1

    assert visit(start(body)) == (1,)
    assert threading.current_thread() is threading.main_thread()


@program
def test_locks_are_its_own() -> None:
    """A lock that the creator holds is held in the copy too, each for itself."""
    lock, again = threading.Lock(), threading.RLock()

    def body(entered: lwc.Entered) -> int:
        assert not lock.acquire(blocking=False)
        lock.release()
        with again, lock:
            return 1

    with lock, again:
        context = start(body)
        assert visit(context) == (1,)
        assert lock.locked()
    assert not lock.locked()


@program
def test_create_warns_of_other_threads() -> None:
    """As os.fork() does; and the thread is not in the copy."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()

    def body(entered: lwc.Entered) -> int:
        assert threading.active_count() == 1
        assert not thread.is_alive()
        return 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        context = start(body)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert caught[0].filename.endswith("programs.py")  # which called create()
    assert visit(context) == (1,)
    assert thread.is_alive()
    stop.set()
    thread.join()


@program
def test_threads_run_on_in_the_lwc_left_behind() -> None:
    """The GIL of a left lwC is free: its other threads do not wait for it to be entered again."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            shared[0] = (shared[0] + 1) % 256
            time.sleep(0.001)

    def body(entered: lwc.Entered) -> int:
        seen, deadline = {shared[0]}, time.monotonic() + 30
        while len(seen) < 10 and time.monotonic() < deadline:
            seen.add(shared[0])
        return len(seen)

    thread = threading.Thread(target=count)
    context = start(body)  # before there is another thread
    thread.start()
    assert visit(context) == (10,)
    stop.set()
    thread.join()


@program
def test_an_lwc_can_have_threads() -> None:
    """Threads started inside work, wait for each other, and run on while the lwC is left."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)

    def body(entered: lwc.Entered) -> int:
        numbers: list[int] = []
        threads = [threading.Thread(target=numbers.append, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        threading.Thread(target=later, daemon=True).start()
        return sum(numbers)

    def later() -> None:
        while not shared[0]:
            time.sleep(0.001)
        shared[1] = 1

    context = start(body)
    assert visit(context) == (3,)
    shared[0] = 1
    deadline = time.monotonic() + 30
    while not shared[1] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert shared[1]
    assert threading.active_count() == 1


@program
def test_made_by_another_thread() -> None:
    """An lwC of a thread that is not the main one has that one as its main thread."""
    answers: list[tuple[int, ...]] = []

    def body(entered: lwc.Entered) -> int:
        assert threading.current_thread() is threading.main_thread()
        return int(threading.active_count())

    def other() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = start(body)
        answers.append(visit(context))
        context.close()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert answers == [(1,)]
