# SPDX-License-Identifier: MIT
"""For SQLAlchemy: the engine is part of the snapshot, its connections are not."""

import os
from contextlib import contextmanager

import psycopg
from sqlalchemy import create_engine

import lwcgi

DSN = os.environ.get("PG_NOTES_DSN", "dbname=notes")

engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(DSN))


@lwcgi.before_snapshot
def disconnect():
    """Close what the pool holds; the engine connects again when it is asked to."""
    engine.dispose()


@contextmanager
def connection():
    """Yield psycopg's own connection for one transaction; others would use `engine.begin()`."""
    with engine.begin() as opened:
        yield opened.connection.driver_connection
