# SPDX-License-Identifier: MIT
"""Settings: units, ranges, and the way between processes."""

from __future__ import annotations

import pytest

from lwcgi.config import Settings, pack_ip, parse_duration, parse_size
from lwcgi.errors import ConfigError

APP = "myproject.wsgi:application"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64k", 65536),
        ("16M", 16 << 20),
        ("1g", 1 << 30),
        ("2 GiB", 2 << 30),
    ],
)
def test_size_with_unit(text: str, size: int) -> None:
    """A size is bytes, or a number with a power-of-1024 unit in either case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5g", "1t", "٣", "1e3", "9" * 19 + "g"])
def test_not_a_size(text: str) -> None:
    """What is not a size is refused, as are negative, fractional and absurd ones."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("0.2", 0.2),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("2m", 120.0),
        ("1H", 3600.0),
    ],
)
def test_duration_with_unit(text: str, seconds: float) -> None:
    """A duration is seconds, or a number with one of the units ms, s, m and h."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "inf", "nan", "3x", "1d", "9000h"])
def test_not_a_duration(text: str) -> None:
    """What is not a duration is refused, as is one of more than a year."""
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "packed"),
    [("192.0.2.7", bytes(10) + b"\xff\xff\xc0\x00\x02\x07"), ("::1", bytes(15) + b"\x01")],
)
def test_packed_ip(text: str, packed: bytes) -> None:
    """Addresses of both kinds have one form."""
    assert pack_ip(text) == packed


def test_settings_cross_a_process_boundary_unchanged() -> None:
    """from_json gives back exactly what to_json wrote, tuples included."""
    settings = Settings(
        app=APP, bind=("unix:/run/ä.sock", "[::1]:9000"), warmup=(), timeout=0.2, allow=("file",)
    )
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("text", ["", "[]", "null", '{"app": "a:b", "surprise": 1}', '{"app": '])
def test_other_json_is_refused(text: str) -> None:
    """JSON that is not an object of settings, or is cut short, is a ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        Settings.from_json(text)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"app": "myproject"}, "MODULE:CALLABLE"),
        ({"app": ":app"}, "MODULE:CALLABLE"),
        ({"app": "my-project:app"}, "MODULE:CALLABLE"),
        ({"app": "src/site.py:app"}, "site:app"),
        ({"script_name": "blog/"}, "/blog"),
        ({"script_name": "/"}, "slash"),
        ({"warmup": ("health",)}, "--warmup /health"),
        ({"bind": ()}, "--bind"),
        ({"bind": ("unix:/a",) * 17}, "16"),
        ({"allowed_clients": ("web.example",)}, "192.0.2.7"),
        ({"allowed_clients": ("10.0.0.0/8",)}, "not names or networks"),
        ({"allowed_clients": ("::1",) * 65}, "64"),
        ({"engine": "forc"}, "auto, rewind, lwc, fork, none"),
        ({"log_level": "loud"}, "debug"),
        ({"allow": ("everything",)}, "thread"),
        ({"workers": 0}, "1 to"),
        ({"backlog": 0}, "1 to"),
        ({"max_params": 100}, "4096 to"),
    ],
)
def test_value_out_of_range(wrong: dict[str, object], remedy: str) -> None:
    """A setting out of its range is a ConfigError whose remedy says what to write."""
    with pytest.raises(ConfigError) as caught:
        Settings(**{"app": APP, **wrong})
    assert remedy in caught.value.remedy
