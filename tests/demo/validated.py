# SPDX-License-Identifier: MIT
"""The demo applications, each inside the standard library's checker of WSGI's rules.

Served by the gateway with the directory of the demo application on the Python path. The checker
raises AssertionError where either side breaks a rule of PEP 3333.
"""

import warnings
from importlib import import_module
from wsgiref.validate import WSGIWarning, validator

MODULES = {
    "hello": "hello",
    "counter": "counter",
    "notes": "notes",
    "board": "board.wsgi",
    "shorty": "shorty",
    "pg_notes": "pg_notes",
}

warnings.simplefilter("error", WSGIWarning)


def __getattr__(name: str) -> object:
    """Return the checked application of that name; only this one is imported."""
    if name not in MODULES:
        raise AttributeError(name)
    checked = validator(import_module(MODULES[name]).application)

    def application(environ, start_response):
        # With it, werkzeug reads a form to the end without naming a size; the validator wants one.
        del environ["wsgi.input_terminated"]
        return checked(environ, start_response)

    return application
