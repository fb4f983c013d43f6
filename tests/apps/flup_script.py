# SPDX-License-Identifier: MIT
"""A program as users of flup write it; the tests also run it with the one import changed.

Arguments: the address (a path, a port of 127.0.0.1, or - for descriptor 0), then arguments of
WSGIServer as NAME=VALUE, written as in Python.
"""

import json
import os
import sys
from ast import literal_eval

from flup.server.fcgi import WSGIServer

with open(f"{sys.argv[0]}.executed", "a") as executed:
    ours = vars(sys.modules["__main__"]) is globals()
    words = (os.getpid(), os.getcwd(), __name__, ours, *sys.argv[1:])
    executed.write(" ".join(map(str, words)) + "\n")


class Closing:
    """A body that says when it was closed."""

    def __init__(self, blocks, file):
        self.blocks = blocks
        self.file = file

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        """Leave a mark."""
        open(self.file, "w").close()


def answer(start_response, blocks, status="200 OK", headers=(("Content-Type", "text/plain"),)):
    """Return *blocks* under a head."""
    start_response(status, list(headers))
    return blocks


def environ_(environ, start_response):
    """Show what the server has put there."""
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return answer(start_response, [json.dumps(shown).encode()])


def echo(environ, start_response):
    """Return the body."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return answer(start_response, [environ["wsgi.input"].read(length)])


def lines(environ, start_response):
    """Return the body, read in three ways, in lines."""
    body = environ["wsgi.input"]
    return answer(start_response, [body.readline(), body.read(3), b"|".join(body.readlines())])


def generator(environ, start_response):
    """Yield blocks, an empty one among them."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b""
    yield b"two"


def text(environ, start_response):
    """Be careless about str and bytes, which flup forgives."""
    start_response(b"200 OK", [(b"Content-Type", b"text/plain"), ("X-Text", b"\xe9")])
    return ["caf\xe9 ", b"and ", "more"]


def text_late(environ, start_response):
    """Likewise, in a generator."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield "caf\xe9"


def write(environ, start_response):
    """Use the write callable before the body."""
    put = start_response("200 OK", [("Content-Type", "text/plain")])
    put(b"written ")
    put("as text ")
    return [b"then returned"]


def replaced(environ, start_response):
    """Replace the head by that of an error."""
    start_response("200 OK", [("X-First", "1")])
    try:
        raise KeyError("on purpose")
    except KeyError:
        start_response("503 Later", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"later"]


def raises(environ, start_response):
    """Fail before the head."""
    raise RuntimeError("on purpose <&>")


def raises_in_body(environ, start_response):
    """Fail after the head, before the body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"]:
        raise RuntimeError("on purpose")
    yield b""


def exits(environ, start_response):
    """Leave by SystemExit."""
    sys.exit("on purpose")


def empty(environ, start_response):
    """Have no body at all."""
    return answer(start_response, [], "404 Not Here")


def unchanged(environ, start_response):
    """Have nothing new to tell."""
    return answer(start_response, [b""], "304 Not Modified", [("ETag", '"1"')])


def moved(environ, start_response):
    """Send elsewhere, with two cookies."""
    headers = [("Location", "/elsewhere"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")]
    return answer(start_response, [b"moved"], "302 Found", headers)


def hop(environ, start_response):
    """Send a header that is the web server's."""
    return answer(start_response, [b"x"], headers=[("Connection", "close"), ("X-Other", "1")])


def closing(environ, start_response):
    """Be closed at the end."""
    return answer(start_response, Closing([b"one", b"two"], f"{sys.argv[0]}.closed"))


PATHS = {
    f"/{function.__name__.rstrip('_')}": function
    for function in (
        environ_, echo, lines, generator, text, text_late, write, replaced, raises, raises_in_body,
        exits, empty, unchanged, moved, hop, closing,
    )
}  # fmt: skip


def application(environ, start_response):
    """Do what the path says."""
    return PATHS.get(environ["PATH_INFO"], environ_)(environ, start_response)


class Upper:
    """Middleware that changes head and body."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, environ, start_response):
        """Pass it on, marked and in capitals."""

        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Upper", "1")], exc_info)

        for block in self.inner(environ, start):
            yield block.upper()


def own_error(self, req):
    """Answer as a subclass may."""
    req.stdout.write(b"Status: 500 Own\r\nContent-Type: text/plain\r\nX-Own: 1\r\n\r\nown page")


def main():
    """Serve; say what came of it."""
    address, *rest = sys.argv[1:]
    arguments = {name: literal_eval(value) for name, _, value in (x.partition("=") for x in rest)}
    app = Upper(application) if arguments.pop("upper", False) else application
    if arguments.pop("own_error", False):
        WSGIServer.error = own_error
    if address != "-":
        arguments["bindAddress"] = ("127.0.0.1", int(address)) if address.isdigit() else address
    result = WSGIServer(app, **arguments).run()
    sys.stdout.write(f"run() returned {result!r}\n")


if __name__ == "__main__":
    try:
        main()
    finally:
        with open(f"{sys.argv[0]}.finally", "a") as ended:
            ended.write(f"{os.getpid()}\n")
