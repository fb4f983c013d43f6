# SPDX-License-Identifier: MIT
"""A drop-in for flup: a script that calls ``WSGIServer(app).run()`` is served by lwcgi.

    from lwcgi.flup import WSGIServer  # was: from flup.server.fcgi import WSGIServer

The script is executed twice. Where it calls `run` it becomes a bystander, which passes signals on
to the supervisor and waits for its end. The snapshot process, a fresh interpreter, executes the
script once more; there `run` hands the application over, and does not return.
"""

from .server import WSGIServer

__all__ = ["WSGIServer"]
