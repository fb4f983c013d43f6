# SPDX-License-Identifier: MIT
"""The page of bench/django_page.py with its rows read from sqlite, by one query of the ORM.

Run as a program it makes the database.
"""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import path

from bench import django_base

DATABASE = "BENCH_DATABASE"
"""Environment variable: the path of the file; bench/contenders.py sets it."""
OTHERS = 1000
"""Rows in the table beside those that are shown."""

django_base.set_up(
    "bench.django_sqlite",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ[DATABASE]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)


class File(models.Model):
    """One line of the page."""

    name = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    folder = models.PositiveIntegerField(db_index=True)

    class Meta:
        """Without an application that is installed."""

        app_label = "bench"


def page(request):
    """Show a table of the files in one folder."""
    return django_base.show(request, File.objects.filter(folder=0).order_by("id"))


def fill():
    """Make the table and its rows."""
    with connection.schema_editor() as editor:
        editor.create_model(File)
    shown = [File(folder=0, **row) for row in django_base.ROWS]
    others = [File(folder=1 + n % 50, name=f"other {n}", size=n) for n in range(OTHERS)]
    File.objects.bulk_create(shown + others)


urlpatterns = [path("", page, name="page")]
application = get_wsgi_application()

if __name__ == "__main__":
    fill()
