# SPDX-License-Identifier: MIT
"""The smallest Flask application."""

from flask import Flask

application = Flask(__name__)


@application.get("/")
def hello():
    """Greet whoever asks."""
    return "Hello, world.\n"
