# SPDX-License-Identifier: MIT
"""Which address leads to which page."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from board import views

urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.begin, name="begin"),
    path("<int:number>/", views.thread, name="thread"),
    path("<int:number>/answer/", views.answer, name="answer"),
    path(
        "accounts/login/",
        LoginView.as_view(template_name="board/form.html", extra_context={"title": "Log in"}),
        name="login",
    ),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/sign-up/", views.sign_up, name="sign-up"),
    path("admin/", admin.site.urls),
]
handler500 = views.server_error
