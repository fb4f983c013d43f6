# SPDX-License-Identifier: MIT
"""For code that expects psycopg_pool: closed before the snapshot, made anew in each request."""

import os

from psycopg_pool import ConnectionPool

import lwcgi

DSN = os.environ.get("PG_NOTES_DSN", "dbname=notes")


@lwcgi.after_restore
def open_pool():
    """Make a new pool, as one that was closed cannot be opened again."""
    global pool
    pool = ConnectionPool(DSN, min_size=0, max_size=1, num_workers=1, open=True)


@lwcgi.before_snapshot
def close_pool():
    """End its connections, and the threads that look after them."""
    pool.close()


open_pool()  # for what happens before the snapshot: import, warm-up


def connection():
    """Return a context manager: a connection of the pool, for one transaction."""
    return pool.connection()
