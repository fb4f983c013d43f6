# SPDX-License-Identifier: MIT
"""Settings. What differs from place to place comes from the environment; README.md lists it."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("BOARD_DIR", PROJECT / "data")).absolute()

# A key made here would be another one after each start, and all users logged out by then.
# `manage.py prepare` makes the file, once.
SECRET_KEY_FILE = DATA / "secret_key"
SECRET_KEY = os.environ.get("BOARD_SECRET_KEY", "")
if not SECRET_KEY and SECRET_KEY_FILE.exists():
    SECRET_KEY = SECRET_KEY_FILE.read_text().strip()
PREPARED = bool(SECRET_KEY)  # Django does not let anybody look at an empty key

ALLOWED_HOSTS = os.environ.get("BOARD_HOSTS", "localhost 127.0.0.1").split()
CSRF_TRUSTED_ORIGINS = os.environ.get("BOARD_ORIGINS", "").split()

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BOARD_DATABASE", DATA / "board.sqlite3"),
        "OPTIONS": {
            # A transaction that begins by reading cannot wait when it comes to write, if another
            # has written meanwhile: it fails at once. One that says so at its beginning waits.
            "transaction_mode": "IMMEDIATE",
            "timeout": float(os.environ.get("BOARD_LOCK_SECONDS", "20")),
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "board",
]
MIDDLEWARE = [
    "board.served.count",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "board.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "board.served.of_this_process",
            ]
        },
    }
]

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Relative, so that Django puts the mount point in front of it. nginx serves the folder.
STATIC_URL = "static/"
STATIC_ROOT = DATA / "static"
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
}

USE_TZ = True
TIME_ZONE = "UTC"

# To standard error, which is the gateway's log. Django's own default would mail the admins.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}
