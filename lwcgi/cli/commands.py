# SPDX-License-Identifier: MIT
"""The commands: words to objects, errors to messages and exit codes."""

from __future__ import annotations

import os
import re
import sys
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import click
from click.core import ParameterSource

from .. import __version__, config
from ..errors import ConfigError, GateError, LwcgiError
from ..supervisor import examination, identity, machine, sockets
from ..supervisor.handover import Handover
from ..supervisor.logfile import STANDARD, LogFile
from ..supervisor.logs import Log, escape
from ..supervisor.master import Master
from . import nginx, options

_EXIT_CODES = """\b
Exit codes:
  0    stopped as told
  1    an error in lwcgi itself
  2    a wrong option, variable or configuration file
  3    the application cannot be found, imported, called or started
  4    an address cannot be used
  5    the application holds something that cannot be frozen
  6    this machine, Python or user cannot give what is asked for
  130  check was interrupted
"""


@click.group(epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Serve a WSGI application over FastCGI, every request from the same frozen state."""


@cli.command(epilog=_EXIT_CODES)
@options.options(app_required=True)
def run(app: str | None, no_warmup: bool, **values: Any) -> None:
    """Serve the application MODULE:CALLABLE until a signal stops it.

    SIGTERM and SIGQUIT let requests end, SIGINT does not. SIGHUP loads the application again,
    SIGUSR2 lwcgi itself; SIGTTIN and SIGTTOU mean one worker more or less. Every option can also be given as
    an environment variable (LWCGI_BIND for --bind) or in lwcgi.toml (bind = "unix:/run/a").
    """
    machine.refuse_unsupported()
    settings = options.settings(app, no_warmup, values)
    file = LogFile.open(settings.error_log, 2, "error log")
    log = Log(file, settings.log_level, settings.log_format)
    left = click.get_current_context().find_object(Handover)
    try:
        Master(settings, log, reread=_reread, left=left).run()
    except LwcgiError as error:
        if settings.error_log == STANDARD and settings.log_format == "text":
            raise  # told on standard error anyway, for people
        for text in filter(None, (error.traceback.rstrip(), error.cause, error.remedy)):
            log.write("error", text)
        if settings.error_log == STANDARD:
            sys.exit(error.exit_code)
        raise


def _reread() -> config.Settings:
    """Return the settings that the same command line makes by now.

    Raises:
        ConfigError: a variable or the configuration file is wrong.
    """
    try:
        # The group has no options: what follows the command's name is the command's.
        with run.make_context("run", sys.argv[2:]) as context:
            values = dict(context.params)
            return options.settings(values.pop("app"), values.pop("no_warmup"), values)
    except click.ClickException as error:
        raise ConfigError(error.format_message(), "correct it, and reload again") from error


@cli.command(epilog=_EXIT_CODES)
@options.options(app_required=False)
def check(app: str | None, no_warmup: bool, **values: Any) -> None:
    """Tell what this machine can do; with MODULE:CALLABLE, whether that can be frozen."""
    machine.refuse_unsupported()
    for what, value in machine.describe():
        click.echo(f"{what:<12} {value}")
    user = identity.resolve(values["user"], values["group"])
    for line in _table(examination.table(user)):
        click.echo(line)
    engine, why = examination.choose(values["engine"], values["isolate"], user)
    click.echo(f"would use    {engine}, {why}")
    if app:
        settings = options.settings(app, no_warmup, values)
        notes = Master(settings, Log(level=settings.log_level), check=True).run()
        if notes is None:
            raise click.Abort
        for note in notes:
            click.echo(f"application  {escape(note)}")
        click.echo(f"application  {settings.app} loads, warms up and can be frozen")


def _table(rows: list[machine.Row]) -> Iterator[str]:
    """Return the lines that show which engine gives which level, and what would help."""
    titles = "".join(f"{level:<9}" for level in config.LEVELS)
    yield f"{'isolates against':<18}{titles}".rstrip()
    for row in rows:
        given = ("yes" if level in row.levels else "no" for level in config.LEVELS)
        yield f"engine {row.name:<11}{''.join(f'{word:<9}' for word in given)}{row.remark}"
        if row.remedy:
            yield f"{'':<18}remedy: {row.remedy}"
        for level, lacks, remedy in row.missing:
            yield f"{'':<18}not {level}: {lacks}"
            yield f"{'':<18}remedy: {remedy}"


@cli.command("nginx", epilog=_EXIT_CODES)
@options.options(app_required=True)
def print_nginx(app: str | None, no_warmup: bool, **values: Any) -> None:
    """Print an nginx server block for the same options as `run`.

    It belongs inside the http block, for example in a file of /etc/nginx/conf.d.
    """
    settings = options.settings(app, no_warmup, values)
    servers = [_reachable(sockets.parse(text)) for text in settings.bind]
    block = nginx.server_block(
        _upstream(settings.app, servers),
        servers,
        settings.script_name,
        settings.timeout,
        settings.max_body,
    )
    click.echo(block, nl=False)


def _upstream(app: str, servers: list[str]) -> str:
    """Return a name for nginx's upstream that no other application on this machine gets."""
    module = re.sub(r"\W", "_", app.partition(":")[0], flags=re.ASCII)
    return f"lwcgi_{module}_{zlib.crc32(os.fsencode(' '.join([app, *servers]))):08x}"


def _reachable(address: sockets.Address) -> str:
    """Return where nginx, on this machine, finds *address*."""
    if address.fd >= 0:
        raise ConfigError(
            f"{address} does not tell where it listens",
            "name the socket's own address, unix:PATH or HOST:PORT, with --bind",
        )
    if address.path:
        return str(address)
    if not address.port:
        raise ConfigError(f"{address} has no port yet", "name a port with --bind")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return str(sockets.Address(host=here.get(address.host, address.host), port=address.port))


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"lwcgi {__version__}")


def main() -> None:
    """Run the command line and exit."""
    _fill_standard_descriptors()
    sys.exit(_main())


def _main() -> int:
    try:
        left = Handover.take(os.environ)
        cli.main(prog_name="lwcgi", standalone_mode=False, obj=left)
    except LwcgiError as error:
        _explain(error)
        return error.exit_code
    except click.BadParameter as error:
        told = click.BadParameter(error.message + _source(error), error.ctx, error.param)
        told.show()
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return 0


def _fill_standard_descriptors() -> None:
    """Open 0, 1 and 2 where they are closed, lest a socket of ours gets such a number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def _explain(error: LwcgiError) -> None:
    for line in error.traceback.rstrip().split("\n") if error.traceback else []:
        click.echo(escape(line), err=True)
    # The gate has a line of each for everything it found.
    causes = error.cause.split("\n") if isinstance(error, GateError) else [error.cause]
    for cause, remedy in zip_longest(causes, error.remedy.split("\n"), fillvalue=""):
        for kind, text in (("error", cause), ("remedy", remedy)):
            if text:
                click.echo(f"lwcgi: {kind}: {escape(text)}", err=True)


def _source(error: click.BadParameter) -> str:
    """Return where a wrong value came from, when that is not the command line."""
    name = error.param.name if error.param else None
    if error.ctx is None or name is None:
        return ""
    source = error.ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        return f" (from the environment, LWCGI_{name.upper()})"
    if source is ParameterSource.DEFAULT_MAP:
        return f" (from {error.ctx.obj})"
    return ""
