# SPDX-License-Identifier: MIT
"""What the administrators see."""

from django.contrib import admin

from board.models import Post, Thread


class Posts(admin.TabularInline):
    """A thread's posts, below it."""

    model = Post
    extra = 0


@admin.register(Thread)
class ThreadAdmin(admin.ModelAdmin):
    """Threads, to be searched by title."""

    list_display = ("title", "author", "started")
    search_fields = ("title",)
    inlines = (Posts,)
