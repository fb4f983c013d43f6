# SPDX-License-Identifier: MIT
"""What the gateway serves: ``board.wsgi:application``."""

import encodings.unicode_escape  # noqa: F401 - Django logs what it refuses with it, and warm-up is not refused
import os

import django.views.csrf  # noqa: F401 - a forged form needs it first, and is never warmed up
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.db import connections

import lwcgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "board.settings")
application = get_wsgi_application()

if not settings.PREPARED:
    raise ImproperlyConfigured("run `manage.py prepare` first, or set BOARD_SECRET_KEY")


@lwcgi.before_snapshot
def disconnect():
    """Close what the warm-up requests have left open; a request opens its own."""
    connections.close_all()
