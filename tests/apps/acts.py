# SPDX-License-Identifier: MIT
"""One WSGI application with a path for each kind of misbehaviour.

Needs the environment variable ACTS_FOLDER, a directory through which the tests and the application
see each other: files in it tell what a request did, and the other way round what to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import lwcgi
from tests.apps import attacks, ends, hostile, machine, mess, neighbour, observed, residue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]

FOLDER = observed.FOLDER
fork_hooks_ran = 0
after_response_end = "goes_on"


def _count_forks() -> None:
    global fork_hooks_ran
    fork_hooks_ran += 1


os.register_at_fork(after_in_child=_count_forks)


@lwcgi.after_restore
def after_restore() -> None:
    """End as the file `after_restore` says."""
    try:
        name = (FOLDER / "after_restore").read_text()
    except FileNotFoundError:
        return
    ends.ENDS[name]()


@lwcgi.after_response
def after_response() -> None:
    """End as the request said."""
    ends.ENDS[after_response_end]()


def _answer(start_response: StartResponse, value: object) -> list[bytes]:
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def state(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return what a request can see of its process."""
    return _answer(start_response, observed.state())


def fork_hooks(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return how often the fork hook of this application ran in this process's memory."""
    return _answer(start_response, fork_hooks_ran)


def do(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Make a mess (`act`, repeated), `look` at a part of the state, `end` before the headers."""
    query = parse_qs(environ["QUERY_STRING"])
    done = [name for name in query.get("act", []) if mess.ACTS[name]() is not False]
    seen = observed.PARTS[query["look"][0]]() if "look" in query else None
    ends.ENDS[query.get("end", ["goes_on"])[0]]()
    return _answer(start_response, {"done": done, "seen": seen})


def acts(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return the names of all that `do` takes for an act, and for an end."""
    return _answer(start_response, {"acts": list(mess.ACTS), "ends": list(ends.ENDS)})


def middle(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """End after the headers and a part of the body; with `&length` there is a Content-Length."""
    end, _, length = environ["QUERY_STRING"].partition("&")
    more = [("Content-Length", "608")] if length else []
    start_response("200 OK", [("Content-Type", "text/plain"), *more])
    yield b"begun " * 100
    ends.ENDS[end]()
    yield b"finished"


def after(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer, and end in the after_response hook."""
    global after_response_end
    after_response_end = environ["QUERY_STRING"]
    return _answer(start_response, os.getpid())


class _Closing:
    def __init__(self, end: str) -> None:
        self.end = end

    def __iter__(self) -> Iterator[bytes]:
        yield b"first "
        yield b"second"

    def close(self) -> None:
        (FOLDER / "closed").touch()
        ends.ENDS[self.end]()


def closing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """End in the body's close()."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return _Closing(environ["QUERY_STRING"])


def twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Fork; parent and child both go on to answer, the child as the query says."""
    child = os.fork()
    if child:
        time.sleep(0.2)  # the child is well on its way to a second answer
    else:
        ends.ENDS[environ["QUERY_STRING"]]()
    return _answer(start_response, "parent" if child else "child")


def registers(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Tell whether an earlier request's bytes are in a vector register."""
    return _answer(start_response, mess.REGISTER_MARK in mess.REGISTERS.read())


def wait(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Say who is waiting in `NAME.started`; wait for the file `NAME` for at most a minute."""
    name = environ["QUERY_STRING"]
    (FOLDER / f"{name}.starting").write_text(str(os.getpid()))
    (FOLDER / f"{name}.starting").rename(FOLDER / f"{name}.started")
    for _ in range(6000):
        if (FOLDER / name).exists():
            break
        time.sleep(0.01)
    return _answer(start_response, os.getpid())


def quick(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return what was asked."""
    return _answer(start_response, environ["REQUEST_URI"])


def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Take ten milliseconds; return what was asked."""
    time.sleep(0.01)
    return _answer(start_response, environ["REQUEST_URI"])


def environment(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return the request's variables, and those of the process."""
    variables = {key: value for key, value in environ.items() if isinstance(value, str)}
    flags = {key: environ[key] for key in environ if key.startswith("wsgi.")}
    plain = {key: v for key, v in flags.items() if isinstance(v, (str, bool, tuple))}
    return _answer(start_response, {"environ": variables | plain, "process": dict(os.environ)})


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body in pieces; return length, digest and the growth of resident memory in KiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return _answer(start_response, {"length": length, "sha256": digest.hexdigest(), "grown": grown})


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Return the body as it is, with the header X-Echo of the request."""
    body = environ["wsgi.input"].read()
    header = ("X-Echo", environ.get("HTTP_X_ECHO", ""))
    start_response("200 OK", [("Content-Type", "application/octet-stream"), header])
    return [body]


def download(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send `chunks` pieces of `size` bytes; the file `sent` counts those taken."""
    query = parse_qs(environ["QUERY_STRING"])
    chunks, size = int(query["chunks"][0]), int(query["size"][0])
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    with open(FOLDER / "sent", "wb", buffering=0) as sent:
        for number in range(chunks):
            os.pwrite(sent.fileno(), b"%d" % number, 0)
            yield bytes([number % 251]) * size


def early(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Send a piece; send another when the file the query names is there."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"piece 1"
    for _ in range(6000):
        if (FOLDER / environ["QUERY_STRING"]).exists():
            break
        time.sleep(0.01)
    yield b"piece 2"


def memory(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Take memory until it is refused, and answer all the same."""
    hoard = []
    try:
        for _ in range(4096):
            hoard.append(bytearray(16 << 20))
    except MemoryError:
        taken = len(hoard) * 16
        hoard.clear()
        return _answer(start_response, {"refused after MiB": taken})
    return _answer(start_response, "never refused")


def open_many(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Open descriptors until the limit is reached; close them, and answer all the same."""
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        for descriptor in opened:
            os.close(descriptor)
        return _answer(start_response, {"opened": len(opened), "errno": error.errno})


def search(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Search this process and its root for `needle` (repeated; hexadecimal, 1 added to each byte)."""
    query = parse_qs(environ["QUERY_STRING"])
    needles = [bytes.fromhex(needle) for needle in query["needle"]]
    found = {"self": residue.search(os.getpid(), needles)}
    if machine.shares_memory(os.getppid()):
        found["root"] = found["self"]
        return _answer(start_response, found)
    try:
        found["root"] = residue.search(os.getppid(), needles)
    except PermissionError:
        pass
    return _answer(start_response, found)


def root_memory(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Try what a debugger could do with the root; return what gave something to see."""
    root, allowed = Path(f"/proc/{os.getppid()}"), []
    looks: dict[str, Callable[[], object]] = {
        "memory": lambda: (root / "mem").open("rb").close() or "open",
        "maps": lambda: (root / "maps").read_text(),
        "environment": lambda: (root / "environ").read_bytes(),
        "descriptors": lambda: (root / "fd" / "0").readlink(),
        "directory": lambda: (root / "cwd").readlink(),
    }
    for name, look in looks.items():
        try:
            if look():
                allowed.append(name)
        except PermissionError:
            pass
    return _answer(start_response, allowed)


def linger(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Attack the root with a descriptor."""
    hostile.linger(int(environ["QUERY_STRING"]))
    return _answer(start_response, "sent")


def switch(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Attack the root with a switch."""
    hostile.switch(environ["QUERY_STRING"])
    return _answer(start_response, "switched")


def grab(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Attack the root's descriptors."""
    return _answer(start_response, hostile.grab())


def flood(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Attack the root with messages."""
    hostile.flood(int(environ["QUERY_STRING"]))
    return _answer(start_response, "left behind")


def log(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Write the body to wsgi.errors, to file descriptor 1 and to 2, as the query says."""
    text = environ["wsgi.input"].read()
    where = environ["QUERY_STRING"]
    if where == "errors":
        environ["wsgi.errors"].write(text.decode("latin-1"))
        environ["wsgi.errors"].flush()
    else:
        os.set_blocking(int(where), False)
        try:
            os.write(int(where), text)
        except BlockingIOError:
            pass
    return _answer(start_response, "written")


def raw(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with status, headers and body from the request's body, in JSON."""
    wanted = json.loads(environ["wsgi.input"].read())
    start_response(wanted["status"], [(name, value) for name, value in wanted["headers"]])
    return [piece.encode("latin-1") for piece in wanted["body"]]


def write(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Use the write callable of PEP 3333, then an iterable."""
    put = start_response("200 OK", [("Content-Type", "text/plain")])
    put(b"written, ")
    return [b"then returned"]


def exc_info(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Replace the headers by those of an error before anything was sent."""
    start_response("200 OK", [("X-First", "1"), ("Content-Type", "text/plain")])
    try:
        ends.exception()
    except ends.Oops as error:
        told = (type(error), error, error.__traceback__)
        start_response("503 Try Later", [("Content-Type", "text/plain")], told)
    return [b"later"]


def file_wrapper(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a file."""
    file = open(Path(__file__), "rb")  # noqa: SIM115 - the wrapper closes it
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](file, 100)  # type: ignore[no-any-return] # no types there


def authorize(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as an Authorizer: 200 with a variable for the web server."""
    start_response("200 OK", [("Variable-WHO", "anna"), ("Content-Type", "text/plain")])
    return [environ.get("FCGI_ROLE", "").encode()]


PATHS = {
    f"/{act.__name__}": act
    for act in (
        state, do, middle, after, closing, twice, registers, wait, quick, slow, environment, upload, echo,
        download, early, memory, open_many, search, root_memory, log, raw, write, exc_info, file_wrapper,
        authorize, fork_hooks, linger, flood, switch, grab, acts,
    )
}  # fmt: skip


def _answering(act: Callable[[str], object]) -> Callable[[Environ, StartResponse], list[bytes]]:
    """Return the path's application that does *act* with the query and returns what that says."""
    return lambda environ, start_response: _answer(start_response, act(environ["QUERY_STRING"]))


for _requests in (neighbour.REQUESTS, attacks.REQUESTS):
    PATHS |= {f"/{name}": _answering(act) for name, act in _requests.items()}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Run the act the path names; any other path shows the request's variables."""
    return PATHS.get(environ["PATH_INFO"], environment)(environ, start_response)
