# SPDX-License-Identifier: MIT
"""The command line's options, each also an environment variable and a key of the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
from click.core import ParameterSource

from .. import config
from ..errors import ConfigError
from ..supervisor import activation
from . import configfile

Command = Callable[..., Any]


def _measured(parse: Callable[[str], float], kind: str) -> dict[str, Any]:
    """Return the details of an option whose value has a unit, read by *parse*."""

    def convert(ctx: click.Context, param: click.Parameter, value: str) -> float:
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return {"callback": convert, "metavar": kind}


_SIZE = _measured(config.parse_size, "SIZE")
_MODE = _measured(config.parse_mode, "MODE")
_DURATION = _measured(config.parse_duration, "TIME")
_STRONGEST_FIRST = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
)
# Takes back what a weaker source asks for.
_ANY_LEVEL = "any"
_DEFAULTS = {setting.name: setting.default for setting in fields(config.Settings)}


def _option(name: str, help: str, **details: Any) -> Callable[[Command], Command]:  # noqa: A002 - click's name
    """Return the option ``--name`` with its environment variable."""
    variable = configfile.PREFIX + name.partition("/")[0].replace("-", "_").upper()
    details.setdefault("show_default", not details.get("multiple", False))
    return click.option(f"--{name}", help=help, envvar=variable, **details)


def _switch(name: str, help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's name
    """Return the option ``--name``, and ``--no-name`` for what a weaker source has set."""
    return _option(f"{name}/--no-{name}", help, show_default=False)


_LOADING = (
    _option("chdir", "Enter this directory before loading.", type=click.Path()),
    _option(
        "pythonpath",
        "Look for modules in this directory too; repeatable.",
        type=click.Path(),
        multiple=True,
    ),
    _switch("factory", "The callable makes the application."),
    _option("script-name", "Path where the application is mounted.", default="", metavar="PATH"),
    _option(
        "warmup",
        "Request this path before freezing; repeatable. [default: /]",
        multiple=True,
        metavar="PATH",
    ),
    _option("no-warmup", "Freeze without having served a request.", is_flag=True),
    _option(
        "allow",
        "Freeze although the application holds one of these; repeatable.",
        type=click.Choice(config.ALLOWANCES),
        multiple=True,
    ),
    _option(
        "engine",
        "How requests are isolated from each other.",
        type=click.Choice(config.ENGINES),
        default=_DEFAULTS["engine"],
    ),
    _option(
        "isolate",
        "What requests are isolated against. [default: bug; with engine none, any]",
        type=click.Choice((*config.LEVELS, _ANY_LEVEL)),
        callback=lambda _ctx, _param, level: None if level == _ANY_LEVEL else level,
    ),
    _option(
        "lwc-way",
        "Reset the context of a request, or create another.",
        type=click.Choice(config.LWC_WAYS),
        default=_DEFAULTS["lwc_way"],
    ),
    _switch("verify", "Compare everything with the snapshot after each request; for tests."),
    _option("no-dispatch", "Do not watch system calls; slower.", is_flag=True),
    _option("no-immortal", "Count references to the snapshot as usual; slower.", is_flag=True),
    _option(
        "log-level",
        "Least important messages to log.",
        type=click.Choice(config.LOG_LEVELS),
        default=_DEFAULTS["log_level"],
    ),
)

_SERVING = (
    _option(
        "bind",
        "Address to listen on; repeatable. [default: what a service manager passes, or 127.0.0.1:9000]",
        multiple=True,
        metavar="unix:PATH|HOST:PORT|fd://N",
    ),
    _switch("allow-remote", "Listen on addresses others can reach."),
    _option(
        "allowed-clients",
        "Take TCP connections only from this address; repeatable. [default: FCGI_WEB_SERVER_ADDRS]",
        multiple=True,
        metavar="IP",
    ),
    _option("socket-mode", "Permissions of a socket file.", **_MODE, default="660"),
    _option("user", "Run the application as this user.", metavar="NAME|UID"),
    _option("group", "Run it as this group. [default: the user's]", metavar="NAME|GID"),
    _option("backlog", "Connections that may wait.", type=int, default=_DEFAULTS["backlog"]),
    _option("workers", "Worker processes.  [default: cores]", type=int, show_default=False),
    _option("timeout", "Time for one request; 0 for no limit.", **_DURATION, default="30s"),
    _option("graceful-timeout", "Time for requests to end at a stop.", **_DURATION, default="30s"),
    _option(
        "startup-timeout",
        "Time until the application is loaded and all workers are ready; 0 for no limit.",
        **_DURATION,
        default="5m",
    ),
    _option(
        "snapshot-max-age",
        "Load the application again after this time; 0 for never.",
        **_DURATION,
        default="24h",
    ),
    _option(
        "snapshot-max-crashes",
        "Load it again after so many crashed requests; 0 for never.",
        type=int,
        default=_DEFAULTS["snapshot_max_crashes"],
    ),
    _option(
        "after-response-timeout",
        "Time for after_response hooks.",
        **_DURATION,
        default="2s",
    ),
    _option(
        "max-request-memory",
        "Memory one request may add; 0 for no limit.",
        **_SIZE,
        default="0",
    ),
    _option("max-params", "Size of one request's parameters.", **_SIZE, default="128k"),
    _option("max-body", "Size of one request's body.", **_SIZE, default="1g"),
    _option(
        "log-format",
        "Form of both logs.",
        type=click.Choice(config.LOG_FORMATS),
        default=_DEFAULTS["log_format"],
    ),
    _option(
        "error-log",
        "File for the log; - for standard error.",
        metavar="FILE",
        default=_DEFAULTS["error_log"],
    ),
    _option("access-log", "File for one line per request; - for standard output.", metavar="FILE"),
)


def _names(*groups: tuple[Callable[[Command], Command], ...]) -> dict[str, bool]:
    """Return the options of *groups* by parameter name, with whether each is repeatable."""

    def nothing() -> None:
        """Carry the options that are to be listed."""

    for group in groups:
        for option in group:
            option(nothing)
    found: list[click.Option] = nothing.__click_params__  # type: ignore[attr-defined] # set by click's decorators
    return {str(option.name): option.multiple for option in found}


KNOWN = {**_names(_LOADING, _SERVING), "app": False}
"""Every key of the configuration file: is it repeatable?"""


def _use_file(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Take the defaults of all other options from the configuration file."""
    configfile.check_environment(os.environ, [*KNOWN, "config"])
    path = path or configfile.find()
    if path is not None:
        ctx.default_map = configfile.read(path, KNOWN)
        ctx.obj = path


def options(*, app_required: bool) -> Callable[[Command], Command]:
    """Return a decorator that gives a command MODULE:CALLABLE and all options."""

    def decorate(command: Command) -> Command:
        for option in reversed((*_LOADING, *_SERVING)):
            command = option(command)
        command = click.option(
            "--config",
            envvar=f"{configfile.PREFIX}CONFIG",
            type=click.Path(),
            is_eager=True,
            expose_value=False,
            callback=_use_file,
            help="Configuration file. [default: lwcgi.toml, or [tool.lwcgi] in pyproject.toml]",
        )(command)
        # Whether it is there is checked later, when file and environment had their say.
        metavar = "MODULE:CALLABLE" if app_required else "[MODULE:CALLABLE]"
        return click.argument(
            "app", envvar=f"{configfile.PREFIX}APP", metavar=metavar, required=False
        )(command)

    return decorate


def settings(app: str | None, no_warmup: bool, values: dict[str, Any]) -> config.Settings:
    """Return the settings that the command's parameters make.

    Raises:
        ConfigError: the application is missing, or a value is out of its range, or one source
            wants both a warm-up and none.
    """
    if not app:
        raise ConfigError(
            "no application named", "write MODULE:CALLABLE, for example myproject.wsgi:application"
        )
    if not values["allowed_clients"]:
        # From a web server that starts us (FastCGI Specification 1.0, section 3.2).
        named = os.environ.get("FCGI_WEB_SERVER_ADDRS", "").split(",")
        values["allowed_clients"] = tuple(text.strip() for text in named if text.strip())
    values["bind"] = activation.addresses(values["bind"], os.environ)
    given = {name: value for name, value in values.items() if value not in (None, ())}
    if no_warmup and not (values["warmup"] and _warmup_is_stronger()):
        given["warmup"] = ()
    return config.Settings(app=app, **given)


def _warmup_is_stronger() -> bool:
    """Return whether, of --warmup and --no-warmup, both given, the former counts."""
    context = click.get_current_context()
    paths, none = (
        _STRONGEST_FIRST.index(source)
        for name in ("warmup", "no_warmup")
        if (source := context.get_parameter_source(name)) is not None
    )
    if paths == none:
        raise ConfigError("--warmup and --no-warmup exclude each other", "leave one of them out")
    return paths < none
