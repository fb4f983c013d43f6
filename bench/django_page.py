# SPDX-License-Identifier: MIT
"""A Django application of one page without a database, for bench/isolation.py."""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.shortcuts import render
from django.urls import path

BASE = """<!doctype html><title>{% block title %}{% endblock %}</title>
<body>{% block body %}{% endblock %}</body>"""
PAGE = """{% extends "base.html" %}
{% block title %}{{ heading|title }}{% endblock %}
{% block body %}<h1>{{ heading|title }}</h1><table>
{% for row in rows %}<tr class="{% cycle 'odd' 'even' %}">
<td>{{ forloop.counter }}</td><td><a href="{% url 'page' %}?row={{ row.name|urlencode }}">{{ row.name }}</a></td>
<td>{{ row.size|filesizeformat }}</td></tr>
{% endfor %}</table>{% endblock %}"""
ROWS = [{"name": f"file <{number}>", "size": number * 1234} for number in range(20)]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="no secret",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"base.html": BASE, "page.html": PAGE},
                    )
                ]
            },
        }
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
)
django.setup()


def page(request):
    """Show a table of files."""
    return render(request, "page.html", {"heading": "some files", "rows": ROWS})


urlpatterns = [path("", page, name="page")]
application = get_wsgi_application()
