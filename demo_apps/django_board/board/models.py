# SPDX-License-Identifier: MIT
"""Threads and their posts."""

from django.conf import settings
from django.db import models


class Thread(models.Model):
    """A subject people write about."""

    title = models.CharField(max_length=120)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    started = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        """Return the title."""
        return self.title


class Post(models.Model):
    """What somebody wrote in a thread; the first one opens it."""

    thread = models.ForeignKey(Thread, models.CASCADE)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField(max_length=10_000)
    written = models.DateTimeField(auto_now_add=True)

    class Meta:
        """In the order they were written."""

        ordering = ("id",)

    def __str__(self):
        """Return the beginning of the text."""
        return self.text[:40]
