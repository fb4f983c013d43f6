# SPDX-License-Identifier: MIT
"""The demo applications, each inside the standard library's checker of WSGI's rules.

Served by the gateway with the demo directories on the Python path. The checker
raises AssertionError where either side breaks a rule of PEP 3333.
"""

import warnings
from wsgiref.validate import WSGIWarning, validator

import counter as counter_module
import hello as hello_module
import notes as notes_module

warnings.simplefilter("error", WSGIWarning)

hello = validator(hello_module.application)
counter = validator(counter_module.application)
notes = validator(notes_module.application)
