# SPDX-License-Identifier: MIT
"""``manage.py prepare``: everything between a checkout and a board that can be served."""

import os

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.core.management.utils import get_random_secret_key


class Command(BaseCommand):
    """Make what is missing; may be run again, also after an update."""

    help = (
        "Makes the folder, the secret key, the database and the static files. With "
        "DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD set, an administrator, too."
    )
    # The checks would ask for a database that is not there yet.
    requires_system_checks = ()

    def handle(self, *args, **options):
        """Do so, and tell where it is."""
        settings.DATA.mkdir(parents=True, exist_ok=True)
        if not settings.PREPARED:
            make_secret_key()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        name = os.environ.get("DJANGO_SUPERUSER_USERNAME")
        if name and not get_user_model().objects.filter(username=name).exists():
            call_command("createsuperuser", interactive=False, verbosity=0)
        self.stdout.write(f"The board is ready in {settings.DATA}")


def make_secret_key():
    """Write a new key to its file, which only we can read."""
    descriptor = os.open(settings.SECRET_KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        settings.SECRET_KEY = get_random_secret_key()
        file.write(settings.SECRET_KEY)
