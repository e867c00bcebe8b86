"""
Where the platform is, and with which key to ask it.

`FREEHOLD_URL` and `FREEHOLD_KEY` say it; without them it is this machine's platform and its operator key.
The settings themselves cost 150 ms to import, so the two that matter here are read without them unless a
settings file may change them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.core.errors import Denied, Unavailable

DEFAULT_DATA: Final = "~/.local/share/freehold"
DEFAULT_ADDRESS: Final = "127.0.0.1:7070"
OPERATOR_KEY: Final = "operator.key"
ADDRESS_FILE: Final = "run/address"
"""Written by `freehold up`: the address it listens on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One platform, as a client sees it."""

    url: str
    key: str


def surroundings() -> Mapping[str, str]:
    """Return the variables the command line was called with."""
    return os.environ


def place(environment: Mapping[str, str]) -> Place:
    """Return the platform that `environment` points at."""
    data, stated = _folder(environment)
    url = environment.get("FREEHOLD_URL") or f"http://{stated or _written(data) or DEFAULT_ADDRESS}"
    return Place(url=url.rstrip("/"), key=environment.get("FREEHOLD_KEY") or _operator_key(data))


def _folder(environment: Mapping[str, str]) -> tuple[Path, str]:
    """Return the data folder, and the address if somebody stated one."""
    if environment.get("FREEHOLD_CONFIG") or Path("freehold.toml").is_file():
        from freehold.settings import Settings  # noqa: PLC0415 - only a settings file is worth the wait

        settings = Settings.read(environment)
        return settings.data, "" if settings.address == DEFAULT_ADDRESS else settings.address
    data = environment.get("FREEHOLD_DATA") or DEFAULT_DATA
    return Path(data).expanduser().absolute(), environment.get("FREEHOLD_ADDRESS", "")


def _written(data: Path) -> str:
    try:
        return (data / ADDRESS_FILE).read_text().strip()
    except OSError:
        return ""


def _operator_key(data: Path) -> str:
    path = data / OPERATOR_KEY
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise Unavailable(
            f"No platform has been started on {data}.",
            code="platform_away",
            remedy="Start it with `freehold up`, or set FREEHOLD_URL and FREEHOLD_KEY.",
        ) from error
    except OSError as error:
        raise Denied(
            f"You may not read {path}.",
            code="operator_key_closed",
            remedy="Ask as the user who started the platform, or set FREEHOLD_KEY to a key of your own.",
        ) from error
