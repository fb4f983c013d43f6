# SPDX-License-Identifier: MIT
"""The board's pages."""

import sys

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.core.paginator import Paginator
from django.db import OperationalError, transaction
from django.db.models import Count, Max
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views import defaults

from board.forms import PostForm, ThreadForm
from board.models import Thread

PER_PAGE = 20


def page_of(request, rows):
    """Return the page of *rows* that the query string asks for, the first or last if it is not there."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


def index(request):
    """Show the threads, the one with the newest post first."""
    threads = (
        Thread.objects.select_related("author")
        .annotate(posts=Count("post"), last=Max("post__written"))
        .order_by("-last", "-id")
    )
    return render(request, "board/index.html", {"page": page_of(request, threads)})


@login_required
def begin(request):
    """Begin a thread with its first post: both are stored, or neither."""
    form = ThreadForm(request.POST or None)
    if not form.is_valid():
        return render(request, "board/form.html", {"form": form, "title": "New thread"})
    with transaction.atomic():
        form.instance.author = request.user
        thread = form.save()
        thread.post_set.create(author=request.user, text=form.cleaned_data["text"])
    return redirect("thread", thread.id)


def thread(request, number):
    """Show a thread's posts, with the form for the next."""
    shown = get_object_or_404(Thread.objects.select_related("author"), id=number)
    posts = shown.post_set.select_related("author")
    context = {"thread": shown, "page": page_of(request, posts), "form": PostForm()}
    return render(request, "board/thread.html", context)


@login_required
def answer(request, number):
    """Store a post, and show it on the last page of its thread."""
    form = PostForm(request.POST or None)
    if not form.is_valid():
        title = f"Answer to {get_object_or_404(Thread, id=number)}"
        return render(request, "board/form.html", {"form": form, "title": title})
    with transaction.atomic():
        # Asked for in here: an administrator may delete the thread at any moment.
        form.instance.thread = get_object_or_404(Thread, id=number)
        form.instance.author = request.user
        post = form.save()
        last = Paginator(post.thread.post_set.all(), PER_PAGE).num_pages
    return redirect(f"{reverse('thread', args=[number])}?page={last}#post-{post.id}")


def sign_up(request):
    """Make an account and log in with it."""
    form = UserCreationForm(request.POST or None)
    if not form.is_valid():
        return render(request, "board/form.html", {"form": form, "title": "Sign up"})
    login(request, form.save())
    return redirect("index")


def server_error(request):
    """Say 503 where others kept the database locked for too long, and 500 to all else."""
    error = sys.exception()
    if isinstance(error, OperationalError) and "locked" in str(error):
        text = "The board is busy. Nothing was stored, please try again.\n"
        return HttpResponse(text, "text/plain", 503, headers={"Retry-After": "1"})
    return defaults.server_error(request)
