# SPDX-License-Identifier: MIT
"""A Django application of one page without a database."""

from django.core.wsgi import get_wsgi_application
from django.urls import path

from bench import django_base

django_base.set_up(__name__)


def page(request):
    """Show a table of files."""
    return django_base.show(request, django_base.ROWS)


urlpatterns = [path("", page, name="page")]
application = get_wsgi_application()
