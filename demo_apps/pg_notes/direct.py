# SPDX-License-Identifier: MIT
"""A connection per request, opened when it is needed and closed at its end: nothing to arrange."""

import os
from functools import partial

import psycopg

DSN = os.environ.get("PG_NOTES_DSN", "dbname=notes")

# `with connection() as opened:` is one transaction, as it is with a pool's `connection()`.
connection = partial(psycopg.connect, DSN)
