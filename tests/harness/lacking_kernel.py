# SPDX-License-Identifier: MIT
"""Program: runs another under a kernel that refuses some system calls, or only pretends them.

``lacking_kernel.py RULE... -- COMMAND...``, a rule being ``CALL[:INDEX:VALUE]=ERRNO``: the
number of a system call, what one of its arguments has in its lower 32 bits, and what the call
fails with. With errno 0 it succeeds without doing anything; with -1 it ends the process. Done
by a filter of seccomp(2), which stays for good.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from dataclasses import dataclass

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_NO_NEW_PRIVS = 38
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # <linux/bpf_common.h>
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


@dataclass(frozen=True)
class Rule:
    """What happens to one system call."""

    call: int
    error: int
    index: int = -1
    value: int = 0

    def __str__(self) -> str:
        where = f":{self.index}:{self.value}" if self.index >= 0 else ""
        return f"{self.call}{where}={self.error}"

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Return the rule that *text* stands for."""
        what, _, error = text.partition("=")
        call, *where = map(int, what.split(":"))
        return cls(call, int(error), *where)

    def program(self) -> list[bytes]:
        """Return its instructions (struct sock_filter); behind them the next rule's follow."""
        verdict = _KILL if self.error < 0 else _ERRNO | self.error
        body = [_op(_RETURN, verdict)]
        if self.index >= 0:  # struct seccomp_data: arguments of 8 bytes from byte 16 on
            body = [
                _op(_LOAD, 16 + 8 * self.index),
                _op(_JUMP_IF_EQUAL, self.value, otherwise=1),
                *body,
            ]
        return [_op(_LOAD, 0), _op(_JUMP_IF_EQUAL, self.call, otherwise=len(body)), *body]


NO_UFFD = [Rule(323, errno.EPERM), Rule(16, errno.EPERM, 1, 0xAA00)]
"""Neither userfaultfd(2) nor the ioctl(2) of its device (USERFAULTFD_IOC_NEW)."""

NO_DISPATCH = [Rule(157, errno.EINVAL, 0, 59)]
"""No prctl(PR_SET_SYSCALL_USER_DISPATCH)."""


def _op(code: int, operand: int, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, 0, otherwise, operand)


def command(rules: list[Rule], *words: str) -> list[str]:
    """Return the command that runs *words* under *rules*."""
    return [sys.executable, __file__, *map(str, rules), "--", *words]


def main() -> None:
    """Install the filter, and become the command."""
    border = sys.argv.index("--")
    program = [op for text in sys.argv[1:border] for op in Rule.parse(text).program()]
    program.append(_op(_RETURN, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls")
    os.execvp(sys.argv[border + 1], sys.argv[border + 1 :])


if __name__ == "__main__":
    main()
