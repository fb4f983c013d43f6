# SPDX-License-Identifier: MIT
"""Settings of the Django board with PostgreSQL instead of sqlite.

BOARD_PG holds what differs from test to test, as JSON: CONN_MAX_AGE, OPTIONS.
"""

import json
import os

from board.settings import *  # noqa: F403 - as settings modules extend each other

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["BOARD_PG_HOST"],
        "NAME": "postgres",
        "USER": "postgres",
        **json.loads(os.environ["BOARD_PG"]),
    }
}
