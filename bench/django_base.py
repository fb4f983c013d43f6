# SPDX-License-Identifier: MIT
"""What the Django applications of bench/ have in common: settings, templates, the page."""

import django
from django.conf import settings
from django.shortcuts import render

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


def set_up(urls, **more):
    """Configure Django.

    Parameters:
        urls: the module that has ``urlpatterns``.
        more: further settings.
    """
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls,
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
        **more,
    )
    django.setup()


def show(request, rows):
    """Answer with a table of files."""
    return render(request, "page.html", {"heading": "some files", "rows": rows})
