# SPDX-License-Identifier: MIT
"""The command line: where values come from, and what errors say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import lwcgi
from lwcgi.cli import commands, configfile, options
from lwcgi.config import Settings
from lwcgi.errors import ConfigError

APP = "myproject:app"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)


@click.command()
@options.options(app_required=True)
def probe(app: str | None, no_warmup: bool, **values: Any) -> None:
    """Print the settings that the command line makes."""
    click.echo(options.settings(app, no_warmup, values).to_json())


def settings(*words: str, **environment: str) -> Settings:
    """Return the settings made of *words* and *environment*."""
    result = CliRunner().invoke(probe, words, env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Settings.from_json(result.output)


def refused(*words: str, **environment: str) -> str:
    """Return what is said about wrong *words* or *environment*: usage errors and ours alike."""
    # Ours are told by their type; their exit code is 2 by test_wrong_file.
    try:
        result = CliRunner().invoke(probe, words, env=environment, catch_exceptions=False)
    except ConfigError as error:
        return f"{error.cause}; {error.remedy}"
    assert result.exit_code == 2
    return result.output


def lwcgi_says(*words: str) -> Result:
    """Return the result of the command line *words*."""
    return CliRunner().invoke(commands.cli, words)


def test_defaults() -> None:
    """Without options, the settings are the documented defaults."""
    assert settings(APP) == Settings(app=APP)


EVERY_OPTION = [
    ("chdir", "/srv", {"chdir": "/srv"}),
    ("pythonpath", "/lib1", {"pythonpath": ("/lib1",)}),
    ("factory", True, {"factory": True}),
    ("script-name", "/blog", {"script_name": "/blog"}),
    ("warmup", "/health", {"warmup": ("/health",)}),
    ("no-warmup", True, {"warmup": ()}),
    ("allow", "socket", {"allow": ("socket",)}),
    ("engine", "none", {"engine": "none"}),
    ("isolate", "hostile", {"isolate": "hostile"}),
    ("lwc-way", "create", {"lwc_way": "create"}),
    ("verify", True, {"verify": True}),
    ("no-dispatch", True, {"no_dispatch": True}),
    ("no-immortal", True, {"no_immortal": True}),
    ("log-level", "error", {"log_level": "error"}),
    ("bind", "unix:/run/a.sock", {"bind": ("unix:/run/a.sock",)}),
    ("allow-remote", True, {"allow_remote": True}),
    ("allowed-clients", "::1", {"allowed_clients": ("::1",)}),
    ("socket-mode", "0666", {"socket_mode": 0o666}),
    ("user", "www-data", {"user": "www-data"}),
    ("group", "33", {"group": "33"}),
    ("backlog", "100", {"backlog": 100}),
    ("workers", "3", {"workers": 3}),
    ("timeout", "200ms", {"timeout": 0.2}),
    ("graceful-timeout", "1m", {"graceful_timeout": 60.0}),
    ("startup-timeout", "2m", {"startup_timeout": 120.0}),
    ("snapshot-max-age", "1h", {"snapshot_max_age": 3600.0}),
    ("snapshot-max-crashes", "7", {"snapshot_max_crashes": 7}),
    ("after-response-timeout", "5", {"after_response_timeout": 5.0}),
    ("max-request-memory", "256m", {"max_request_memory": 256 << 20}),
    ("max-params", "64k", {"max_params": 65536}),
    ("max-body", "10m", {"max_body": 10 << 20}),
    ("log-format", "json", {"log_format": "json"}),
    ("error-log", "/var/log/e", {"error_log": "/var/log/e"}),
    ("access-log", "/var/log/a", {"access_log": "/var/log/a"}),
]


def test_every_option_is_tried() -> None:
    """The table above has every option there is."""
    assert {name.replace("-", "_") for name, _, _ in EVERY_OPTION} == set(options.KNOWN) - {"app"}


@pytest.mark.parametrize(("name", "value", "expected"), EVERY_OPTION)
@pytest.mark.parametrize("source", ["flag", "environment", "file", "underscored"])
def test_option_from_each_source(
    source: str, name: str, value: str | bool, expected: dict[str, object]
) -> None:
    """Every option means the same as a flag, as a variable and as a key of the file."""
    text = "true" if value is True else f'"{value}"'
    if source == "flag":
        found = settings(APP, f"--{name}", *([] if value is True else [str(value)]))
    elif source == "environment":
        found = settings(
            APP, **{f"LWCGI_{name.replace('-', '_').upper()}": "1" if value is True else str(value)}
        )
    else:
        key = name if source == "file" else name.replace("-", "_")
        Path("lwcgi.toml").write_text(f"{key} = {text}\n")
        found = settings(APP)
    assert found == Settings(**{"app": APP, **expected})


def test_level_that_a_file_asks_for_is_taken_back() -> None:
    """The command line can leave the level open again, for an engine that does not give it."""
    Path("lwcgi.toml").write_text('isolate = "bug"\n')
    assert settings(APP, "--engine", "none").isolate == "bug"
    assert settings(APP, "--engine", "none", "--isolate", "any").isolate is None


def test_application_from_each_source() -> None:
    """MODULE:CALLABLE too: an argument wins over LWCGI_APP, which wins over the file."""
    Path("lwcgi.toml").write_text('app = "file:app"\n')
    assert settings().app == "file:app"
    assert settings(LWCGI_APP="env:app").app == "env:app"
    assert settings("word:app", LWCGI_APP="env:app").app == "word:app"


def test_precedence() -> None:
    """A flag wins over the environment, the environment over the file."""
    Path("lwcgi.toml").write_text('workers = 2\nbind = "unix:/file"\n')
    assert settings(APP).workers == 2
    assert settings(APP, LWCGI_WORKERS="3").workers == 3
    assert settings(APP, "--workers", "4", LWCGI_WORKERS="3").workers == 4
    assert settings(APP, "--bind", "unix:/flag", LWCGI_BIND="unix:/env").bind == ("unix:/flag",)


def test_precedence_of_warmup() -> None:
    """Of --warmup and --no-warmup from two sources, the stronger source counts."""
    Path("lwcgi.toml").write_text("no-warmup = true\n")
    assert settings(APP).warmup == ()
    assert settings(APP, "--warmup", "/a").warmup == ("/a",)
    assert settings(APP, LWCGI_WARMUP="/a").warmup == ("/a",)
    assert settings(APP, "--no-warmup", LWCGI_WARMUP="/a").warmup == ()
    assert settings(APP, "--warmup", "/a", LWCGI_NO_WARMUP="1").warmup == ("/a",)
    assert "exclude each other" in refused(APP, LWCGI_WARMUP="/a", LWCGI_NO_WARMUP="1")
    Path("lwcgi.toml").write_text('warmup = "/a"\n')
    assert settings(APP, "--no-warmup").warmup == ()
    assert settings(APP, LWCGI_NO_WARMUP="1").warmup == ()
    Path("lwcgi.toml").write_text('no-warmup = true\nwarmup = "/a"\n')
    assert "exclude each other" in refused(APP)
    assert settings(APP, "--warmup", "/b").warmup == ("/b",)


@pytest.mark.parametrize("name", ["factory", "allow-remote"])
def test_switched_off_again(name: str) -> None:
    """What the file or the environment switches on, the command line can switch off."""
    key = name.replace("-", "_")
    assert getattr(settings(APP, f"--no-{name}", **{f"LWCGI_{key.upper()}": "1"}), key) is False
    Path("lwcgi.toml").write_text(f"{name} = true\n")
    assert getattr(settings(APP, f"--no-{name}"), key) is False


def test_lists() -> None:
    """Repeatable options are lists: repeated flags, words of a variable, an array in the file."""
    both = ("unix:/a", "127.0.0.1:9001")
    assert settings(APP, "--bind", both[0], "--bind", both[1]).bind == both
    assert settings(APP, LWCGI_BIND=" ".join(both)).bind == both
    assert settings(APP, LWCGI_PYTHONPATH="/a:/b").pythonpath == ("/a", "/b")
    Path("lwcgi.toml").write_text(f"bind = {list(both)}\n")
    assert settings(APP).bind == both


def test_plain_numbers_in_the_file() -> None:
    """The file may give sizes and times as numbers."""
    Path("lwcgi.toml").write_text("timeout = 1.5\nmax-body = 1000\n")
    assert settings(APP).timeout == pytest.approx(1.5)
    assert settings(APP).max_body == 1000


def test_pyproject() -> None:
    """[tool.lwcgi] of pyproject.toml is read, unless there is an lwcgi.toml."""
    Path("pyproject.toml").write_text("[project]\nname = 'x'\n[tool.lwcgi]\nworkers = 5\n")
    assert settings(APP).workers == 5
    Path("lwcgi.toml").write_text("workers = 6\n")
    assert settings(APP).workers == 6


def test_pyproject_of_others() -> None:
    """A pyproject.toml without our table is none of our business."""
    Path("pyproject.toml").write_text("[tool.other]\nworkers = 5\n")
    assert settings(APP) == Settings(app=APP)


def test_named_file(tmp_path: Path) -> None:
    """--config and LWCGI_CONFIG name another file."""
    other = tmp_path / "other.toml"
    other.write_text("workers = 7\n")
    assert settings(APP, "--config", str(other)).workers == 7
    assert settings(APP, LWCGI_CONFIG=str(other)).workers == 7


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("worker = 2", "unknown key 'worker'; did you mean workers?"),
        ("zzz = 2", "the keys are access-log, "),
        ("workers = [1, 2]", "takes one value"),
        ("bind = [[1]]", "neither a text nor a number"),
        ("[bind]\nx = 1", "neither a text nor a number"),
        ("workers = 'many'", "(from lwcgi.toml)"),
        ("timeout = 'long'", "'long' is not a duration"),
        ("workers = ", "is not TOML"),
        ("workers = 0", "workers 0 is out of range"),
        ("workers = 1.5", "'1.5' is not a valid integer"),
        ("workers = inf", "'inf' is not a valid integer"),
        ("factory = 7", "(from lwcgi.toml)"),
        ("no-warmup = 0.5", "(from lwcgi.toml)"),
        ('chdir = "\\u0000"', "holds a NUL character"),
        (f"pythonpath = {'[' * 5000}", "is not TOML"),
    ],
)
def test_wrong_file(text: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong keys and values of the file are refused, named, with the nearest known key."""
    Path("lwcgi.toml").write_text(text)
    assert complaint in command_line_says(capsys, "run", APP)


@pytest.mark.parametrize("value", ["7", "-1", "0.5", "nan", "true", "'?'", "[true]", '"\\u0000"'])
@pytest.mark.parametrize("name", options.KNOWN)
def test_odd_value(name: str, value: str) -> None:
    """A value of any type is taken, or a mistake that is told: never an error of ours."""
    Path("lwcgi.toml").write_text(f"{name.replace('_', '-')} = {value}\n")
    words = [] if name == "app" else [APP]
    try:
        result = CliRunner().invoke(probe, words, catch_exceptions=False)
    except ConfigError:
        return
    assert result.exit_code in (0, 2), result.output


def command_line_says(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the real entry point prints about wrong *words*; its exit code is 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["lwcgi", *words])
        with pytest.raises(SystemExit) as ended:
            commands.main()
    assert ended.value.code == 2
    return capsys.readouterr().err.replace("\nlwcgi: remedy: ", "; ")


@pytest.mark.parametrize("path", ["lost.toml", "."])
def test_unreadable_file(path: str) -> None:
    """A named file that cannot be read is an error, not silence."""
    assert f"cannot read {path}" in refused(APP, "--config", path)


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("LWCGI_WORKRES", "did you mean LWCGI_WORKERS?"),
        ("LWCGI_workers", "did you mean LWCGI_WORKERS?"),
        ("LWCGI_", "the keys are LWCGI_ACCESS_LOG, "),
    ],
)
def test_unknown_variable(variable: str, remedy: str) -> None:
    """An LWCGI_ variable that means nothing is refused, with the nearest that does."""
    assert remedy in refused(APP, **{variable: "2"})


def test_variables_of_kubernetes() -> None:
    """What Kubernetes sets for a service called lwcgi is not taken for ours."""
    configfile.check_environment(
        ["LWCGI_SERVICE_HOST", "LWCGI_PORT", "LWCGI_PORT_9000_TCP", "HOME"], options.KNOWN
    )


def test_wrong_value_names_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong value from the environment says which variable it came from."""
    monkeypatch.setenv("LWCGI_MAX_BODY", "huge")
    assert "(from the environment, LWCGI_MAX_BODY)" in command_line_says(capsys, "run", APP)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "no application named"),
        ((APP, "--no-warmup", "--warmup", "/"), "exclude each other"),
        ((APP, "--engine", "lwcs"), "'lwcs' is not one of"),
        ((APP, "--timeout", "3x"), "is not a duration"),
        (("myproject.py:app",), "myproject:app"),
    ],
)
def test_wrong_words(words: tuple[str, ...], complaint: str) -> None:
    """A wrong option or argument is a usage error that says what is wrong with it."""
    assert complaint in refused(*words)


def test_version() -> None:
    """`lwcgi version` prints the package's version."""
    assert lwcgi_says("version").output == f"lwcgi {lwcgi.__version__}\n"


def test_check_tells_the_truth_about_engines() -> None:
    """`lwcgi check` shows the machine, every engine, and what auto takes and why."""
    output = lwcgi_says("check").output
    for line in (
        "isolates against  leak     bug      hostile",
        "engine rewind     ",
        "engine lwc        no       no       no       /dev/lwc is not there",
        "engine fork       yes      yes ",
        "engine none       no       no       no ",
        r", chosen by auto: every request ",
        r"kernel       Linux",
    ):
        assert line in output


def test_help_documents_exit_codes() -> None:
    """The help of `run` lists the exit codes."""
    output = lwcgi_says("run", "--help").output
    assert all(f"\n    {code}  " in output for code in [*range(7), 130])


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--bind", "unix:/run/a b/x.sock"),
        ("--bind", "127.0.0.1:9001", "--bind", "[::1]:9001"),
        ("--script-name", "/a.b"),
        ("--timeout", "0", "--max-body", "0"),
    ],
)
def test_nginx_accepts_the_block(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What `lwcgi nginx` prints passes `nginx -t` inside an http block."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
    if nginx is None:
        pytest.skip("needs nginx (apt-get install nginx)")
    block = lwcgi_says("nginx", APP, *words)
    assert block.exit_code == 0, block.output
    # A port of the machine is none of a unit test's business.
    listen = "listen 127.0.0.1:8000;"
    assert listen in block.output
    server = block.output.replace(listen, f"listen unix:{tmp_path}/http.sock;")
    (tmp_path / "fastcgi_params").write_text("fastcgi_param QUERY_STRING $query_string;\n")
    (tmp_path / "nginx.conf").write_text(
        f"error_log stderr; pid {tmp_path}/pid; events {{}} http {{ access_log off;\n{server}}}\n"
    )
    tried = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert tried.returncode == 0, tried.stderr


def test_nginx_upstreams_do_not_collide() -> None:
    """Two applications of one module name, or on two addresses, get upstreams of two names."""
    words = [(APP,), ("myproject:other",), (APP, "--bind", "127.0.0.1:9001")]
    blocks = [lwcgi_says("nginx", *chosen).output for chosen in words]
    names = {block.partition(" {")[0] for block in blocks}
    assert len(names) == 3
    assert all(name.startswith("upstream lwcgi_myproject_") for name in names)


def test_nginx_sends_one_host() -> None:
    """HTTP_HOST is left to fastcgi_params: nginx would send both, joined by a comma."""
    output = lwcgi_says("nginx", APP).output
    assert "fastcgi_param HTTP_HOST" not in output
    assert "$host:$server_port" in output


def test_nginx_needs_a_port_it_can_know() -> None:
    """A port the kernel will choose cannot be written into a configuration."""
    result = CliRunner().invoke(commands.cli, ["nginx", APP, "--bind", "127.0.0.1:0"])
    assert isinstance(result.exception, ConfigError)


def test_nginx_reaches_a_wildcard_address_locally() -> None:
    """A gateway on all addresses is reached through loopback."""
    words = ("nginx", APP, "--bind", "0.0.0.0:9000", "--allow-remote")
    assert "server 127.0.0.1:9000;" in lwcgi_says(*words).output
