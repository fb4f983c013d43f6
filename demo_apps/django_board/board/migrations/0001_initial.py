# SPDX-License-Identifier: MIT
"""Threads and posts."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first step."""

    initial = True
    dependencies = (migrations.swappable_dependency(settings.AUTH_USER_MODEL),)
    operations = (
        migrations.CreateModel(
            name="Thread",
            fields=[
                (
                    "id",
                    models.BigAutoField("ID", primary_key=True, auto_created=True, serialize=False),
                ),
                ("title", models.CharField(max_length=120)),
                ("started", models.DateTimeField(auto_now_add=True)),
                ("author", models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)),
            ],
        ),
        migrations.CreateModel(
            name="Post",
            fields=[
                (
                    "id",
                    models.BigAutoField("ID", primary_key=True, auto_created=True, serialize=False),
                ),
                ("text", models.TextField(max_length=10_000)),
                ("written", models.DateTimeField(auto_now_add=True)),
                ("author", models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)),
                ("thread", models.ForeignKey("board.thread", models.CASCADE)),
            ],
            options={"ordering": ("id",)},
        ),
    )
