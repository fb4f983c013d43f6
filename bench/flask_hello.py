# SPDX-License-Identifier: MIT
"""The smallest Flask application, for bench/throughput.py."""

from flask import Flask

application = Flask(__name__)


@application.get("/")
@application.get("/<path:rest>")
def hello(rest=""):
    """Greet whoever asks."""
    return "Hello, world.\n"
