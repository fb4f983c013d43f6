# SPDX-License-Identifier: MIT
"""The user that the application runs as (``--user``, ``--group``).

The supervisor stays what it was started as. It needs that to bind addresses and to open log
files again later, and it runs no application code.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TypedDict

from ..errors import ConfigError

# (uid_t) -1 means "do not change" (setreuid(2)).
_MOST = (1 << 32) - 2


class Credentials(TypedDict):
    """Arguments of subprocess.Popen, which sets groups before the user (credentials(7))."""

    user: int | None
    group: int | None
    extra_groups: tuple[int, ...] | None


@dataclass(frozen=True)
class Identity:
    """A user, its group and its supplementary groups.

    Parameters:
        name: as it was written.
        uid, gid: user and group.
        groups: supplementary groups, *gid* included.
        entry: of the user database; None for a number that is not there.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    entry: pwd.struct_passwd | None

    def variables(self) -> dict[str, str]:
        """Return the environment variables that tell a user about itself (environ(7))."""
        if self.entry is None:
            return {}
        name = self.entry.pw_name
        return {"HOME": self.entry.pw_dir, "USER": name, "LOGNAME": name}


def credentials(identity: Identity | None) -> Credentials:
    """Return what makes a new process that of *identity*; None leaves it this process's user."""
    if identity is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}


def resolve(user: str | None, group: str | None) -> Identity | None:
    """Return the identity that these two options name; None where there is nothing to change.

    Parameters:
        user: a name or a number.
        group: a name or a number; None for the user's own group.

    Raises:
        ConfigError: one is unknown, or this process may not change its user.
    """
    if user is None and group is None:
        return None
    if user is None:
        raise ConfigError("--group without --user", "name the user too: --user NAME")
    if os.geteuid() != 0:
        raise ConfigError(
            "--user and --group need root", "start as root, or as that user without --user"
        )
    entry = _user(user)
    uid = entry.pw_uid if entry else int(user)
    if group is None and entry is None:
        raise ConfigError(
            f"user {user} is in no database, so its group is not known", "add --group"
        )
    gid = _group(group) if group is not None else entry.pw_gid if entry else -1
    groups = os.getgrouplist(entry.pw_name, gid) if entry else [gid]
    return Identity(user, uid, gid, tuple(groups), entry)


def _user(text: str) -> pwd.struct_passwd | None:
    """Return the entry of a user; None for a number without one."""
    try:
        return pwd.getpwuid(_number(text)) if _is_number(text) else pwd.getpwnam(text)
    except (KeyError, ValueError) as error:  # ValueError: a NUL in it
        if _is_number(text) and int(text) <= _MOST:
            return None
        raise ConfigError(
            f"there is no user {text!r}", "see `getent passwd`; useradd --system makes one"
        ) from error


def _group(text: str) -> int:
    try:
        return _number(text) if _is_number(text) else grp.getgrnam(text).gr_gid
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"there is no group {text!r}", "see `getent group`; groupadd --system makes one"
        ) from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    number = int(text)
    if number > _MOST:
        raise KeyError(text)
    return number
