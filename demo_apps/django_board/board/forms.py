# SPDX-License-Identifier: MIT
"""The forms people write in."""

from django import forms

from board.models import Post, Thread


class PostForm(forms.ModelForm):
    """An answer in a thread."""

    text = forms.CharField(max_length=10_000, widget=forms.Textarea({"rows": 3}))

    class Meta:
        """One field."""

        model = Post
        fields = ("text",)


class ThreadForm(PostForm):
    """A new thread: its title, and the text of its first post."""

    class Meta:
        """The text is no field of a thread, and stored by the view."""

        model = Thread
        fields = ("title",)
