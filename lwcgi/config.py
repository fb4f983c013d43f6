# SPDX-License-Identifier: MIT
"""The settings of one gateway: a frozen dataclass, its defaults and its checks.

Where values come from (flags, environment, files) is the command line's business.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .errors import ConfigError

ENGINES = ("auto", "rewind", "lwc", "fork", "none")
LEVELS = ("leak", "bug", "hostile")
"""What requests are isolated against, the next including the one before."""
USUAL_LEVEL = "bug"
LWC_WAYS = ("reset", "create")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
MOST_ADDRESSES = 16
MOST_CLIENTS = 64
MOST_WORKERS = 1024
AT_START = (
    "bind",
    "allow_remote",
    "socket_mode",
    "user",
    "group",
    "backlog",
    "log_level",
    "log_format",
    "error_log",
    "access_log",
)
"""Settings that a reload leaves as they were."""
ALLOWANCES = ("thread", "socket", "pipe", "event", "shared-mapping", "file")

_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DURATION_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# One year: longer is a mistake, and would overflow the timers below.
_LONGEST = 365 * 24 * 3600.0
_LARGEST = 1 << 62


def parse_size(text: str) -> int:
    """Return the number of bytes in *text*: ``4096``, ``64k``, ``16m`` or ``1g`` (powers of 1024).

    Raises:
        ValueError: it is not a size.
    """
    match = re.fullmatch(r"(\d{1,19})\s*([kmg]?)(?:i?b)?", text.strip().lower(), re.ASCII)
    size = int(match[1]) * _SIZE_UNITS[match[2]] if match else _LARGEST + 1
    if size > _LARGEST:
        raise ValueError(f"{text!r} is not a size; write bytes or 64k, 16m, 1g")
    return size


def parse_mode(text: str) -> int:
    """Return the permissions in *text*, octal as chmod(1) takes them: ``660``, ``0666``.

    Raises:
        ValueError: it is not such a number.
    """
    if not re.fullmatch(r"0?[0-7]{3}", text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is not a mode; write three octal digits, such as 660")
    return int(text.strip(), 8)


def pack_ip(text: str) -> bytes:
    """Return the 16 bytes of an IP address; of IPv4 those of the mapped IPv6 one (RFC 4291).

    Raises:
        ValueError: it is none.
    """
    ip = ipaddress.ip_address(text)
    return ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed


def parse_duration(text: str) -> float:
    """Return the seconds in *text*: ``30``, ``500ms``, ``30s``, ``2m`` or ``1h``.

    Raises:
        ValueError: it is not a duration, or one of more than a year.
    """
    match = re.fullmatch(r"(\d{1,19}(?:\.\d{1,9})?)\s*(|ms|s|m|h)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * _DURATION_UNITS[match[2]] if match else _LONGEST + 1
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is not a duration; write seconds or 500ms, 30s, 2m, 1h")
    return seconds


def default_workers() -> int:
    """Return the number of cores this process may run on (sched_getaffinity(2))."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a gateway is told, checked.

    Parameters:
        app: the application as ``module:callable``.
        factory: the callable makes the application instead of being it.
        chdir: directory to enter before loading; None stays where the command was started.
        pythonpath: directories put in front of ``sys.path``.
        bind: addresses to listen on, ``unix:PATH``, ``HOST:PORT`` or ``fd://N``.
        allow_remote: TCP addresses other than loopback are wanted.
        allowed_clients: IP addresses that may connect over TCP; empty for any.
        socket_mode: permissions of a socket file that is made.
        user: whom the application runs as, a name or a number; None for whoever started us.
        group: its group, a name or a number; None for the user's.
        backlog: length of each listener's queue, in connections (listen(2)).
        workers: number of worker processes.
        engine: one of ENGINES.
        isolate: one of LEVELS, what the engine must give; None for USUAL_LEVEL, or for nothing
            where the engine is none. The last level is given only where it is asked for.
        verify: compare everything with the snapshot after each request (engines rewind, lwc).
        lwc_way: one of LWC_WAYS, how a context is made pristine (engine lwc; below the last level).
        no_dispatch: do not watch system calls (engine rewind).
        no_immortal: leave reference counts as they are (engines rewind, lwc; CPython 3.12+).
        script_name: mount point of the application, ``""`` or ``/path``.
        warmup: paths requested before freezing; empty for none.
        timeout: seconds one request may take; 0 for no limit.
        graceful_timeout: seconds that requests get to end when stopping.
        startup_timeout: seconds from the start of loading until all workers are ready; 0 for no
            limit.
        snapshot_max_age: seconds after which the application is loaded again; 0 for never.
        snapshot_max_crashes: crashed requests after which it is; 0 for never.
        max_request_memory: bytes of address space a request may add; 0 for no limit.
        max_params: bytes of FastCGI parameters of one request.
        max_body: bytes of one request body.
        after_response_timeout: seconds the after_response hooks may take.
        log_level: one of LOG_LEVELS.
        log_format: one of LOG_FORMATS, of both logs.
        error_log: a file's path, or ``-`` for standard error.
        access_log: a file's path, ``-`` for standard output, None for no access log.
        allow: what the snapshot gate lets pass, of ALLOWANCES.

    Raises:
        ConfigError: a value is out of its range.
    """

    app: str
    factory: bool = False
    chdir: str | None = None
    pythonpath: tuple[str, ...] = ()
    bind: tuple[str, ...] = ("127.0.0.1:9000",)
    allow_remote: bool = False
    allowed_clients: tuple[str, ...] = ()
    socket_mode: int = 0o660
    user: str | None = None
    group: str | None = None
    backlog: int = 2048
    workers: int = field(default_factory=default_workers)
    engine: str = "auto"
    isolate: str | None = None
    verify: bool = False
    lwc_way: str = "reset"
    no_dispatch: bool = False
    no_immortal: bool = False
    script_name: str = ""
    warmup: tuple[str, ...] = ("/",)
    timeout: float = 30.0
    graceful_timeout: float = 30.0
    startup_timeout: float = 300.0
    snapshot_max_age: float = 24 * 3600.0
    snapshot_max_crashes: int = 100
    max_request_memory: int = 0
    max_params: int = 128 << 10
    max_body: int = 1 << 30
    after_response_timeout: float = 2.0
    log_level: str = "info"
    log_format: str = "text"
    error_log: str = "-"
    access_log: str | None = None
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_application_name(self.app)
        _check_mount(self.script_name)
        for path in self.warmup:
            if not path.startswith("/"):
                raise ConfigError(
                    f"warmup path {path!r} does not start with a slash",
                    f"write --warmup /{path}",
                )
        if not 1 <= len(self.bind) <= MOST_ADDRESSES:
            raise ConfigError(
                f"{len(self.bind)} addresses to listen on",
                f"give --bind unix:PATH, HOST:PORT or fd://N, 1 to {MOST_ADDRESSES} times",
            )
        _check_clients(self.allowed_clients)
        _check_choice("engine", self.engine, ENGINES)
        if self.isolate is not None:
            _check_choice("isolate", self.isolate, LEVELS)
        _check_choice("lwc-way", self.lwc_way, LWC_WAYS)
        _check_choice("log-level", self.log_level, LOG_LEVELS)
        _check_choice("log-format", self.log_format, LOG_FORMATS)
        for name in self.allow:
            _check_choice("allow", name, ALLOWANCES)
        _check_range("workers", self.workers, 1, MOST_WORKERS)
        _check_range("backlog", self.backlog, 1, 1 << 20)
        _check_range("snapshot-max-crashes", self.snapshot_max_crashes, 0, 1 << 31)
        # The lower bound is what a plain request of nginx needs.
        _check_range("max-params", self.max_params, 4096, 64 << 20)

    def as_at_start(self, before: Settings) -> tuple[Settings, list[str]]:
        """Return these settings with what only a restart can change as it was *before*.

        Also returns the names of the options that have changed in vain.
        """
        changed = [name for name in AT_START if getattr(self, name) != getattr(before, name)]
        kept = replace(self, **{name: getattr(before, name) for name in changed})
        return kept, [name.replace("_", "-") for name in changed]

    def to_json(self) -> str:
        """Return the settings as one JSON object; `from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that `to_json` wrote.

        Raises:
            ConfigError: a value is out of its range.
            ValueError: *text* is not a JSON object of settings.
        """
        raw = json.loads(text)
        known = {setting.name for setting in fields(cls)}
        if not isinstance(raw, dict) or not raw.keys() <= known:
            raise ValueError("not an object of settings")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
        }
        return cls(**values)


def _check_application_name(app: str) -> None:
    module, colon, name = app.partition(":")
    example = "write MODULE:CALLABLE, for example myproject.wsgi:application"
    if "/" in module or module.endswith(".py"):
        stem = module.removesuffix(".py").strip("/").rpartition("/")[2] or "myproject"
        raise ConfigError(
            f"{app!r} names a file, a module is needed",
            f"write {stem}:{name or 'application'}, with --chdir or --pythonpath for its directory",
        )
    if not colon or not module or not name:
        raise ConfigError(f"{app!r} does not name a callable in a module", example)
    for word in (*module.split("."), *name.split(".")):
        if not word.isidentifier():
            raise ConfigError(f"{app!r} is not a Python name: {word!r} cannot be one", example)


def _check_clients(clients: tuple[str, ...]) -> None:
    for text in clients:
        try:
            pack_ip(text)
        except ValueError as error:
            raise ConfigError(
                f"allowed-clients {text!r} is not an IP address",
                "write addresses such as 192.0.2.7 or 2001:db8::7, not names or networks",
            ) from error
    if len(clients) > MOST_CLIENTS:
        raise ConfigError(
            f"{len(clients)} allowed clients", f"name at most {MOST_CLIENTS}, or use a firewall"
        )


def _check_mount(script_name: str) -> None:
    if script_name and (not script_name.startswith("/") or script_name.endswith("/")):
        raise ConfigError(
            f"script-name {script_name!r} is not a mount point",
            f"write it with a leading and no trailing slash: /{script_name.strip('/')}",
        )


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{option} {value!r} is unknown", f"choose one of {', '.join(choices)}")


def _check_range(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{option} {value} is out of range", f"choose {low} to {high}")
