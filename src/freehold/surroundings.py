"""
What the environment and `freehold.toml` state, the only reader of the environment; and what this process took.

What the names mean, and which there are, is said in `freehold.settings`.
"""

import difflib
import os
import resource
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from freehold.core.errors import Invalid

PREFIX: Final = "FREEHOLD_"
_OUTSIDE: Final = frozenset({"FREEHOLD_CONFIG", "FREEHOLD_URL", "FREEHOLD_KEY"})
"""Names that the command line reads for itself: they tell where a platform is, not how it runs."""

_PASSED_ON: Final = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"})


def passed_on(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what of the surroundings a process of ours may see: nothing that could hold a secret."""
    surroundings = os.environ if environment is None else environment
    return {name: surroundings[name] for name in sorted(_PASSED_ON & surroundings.keys())}


def spent() -> tuple[float, int]:
    """Return how many seconds of processors this process took, and how many bytes of memory it holds now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return used.ru_utime + used.ru_stime, pages * resource.getpagesize()


def stated(names: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """
    Return what `environment` (this process's by default) states over what `freehold.toml` states.

    Raises `Invalid` (`unknown_setting`) for what is none of `names`, suggesting the nearest.
    """
    environment = os.environ if environment is None else environment
    return _from_file(names, environment) | _from_environment(names, environment)


def _from_environment(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    found = [name for name in environment if name.startswith(PREFIX) and name not in _OUTSIDE]
    return {_known(names, name.removeprefix(PREFIX).lower(), shown=name): environment[name] for name in found}


def _from_file(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    file = environment.get("FREEHOLD_CONFIG", "")
    path = Path(file or "freehold.toml")
    if not file and not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Invalid(
            f"{path} cannot be read as settings: {error}.", code="bad_setting", remedy="Correct the file."
        ) from error
    return {_known(names, name, shown=f"{name} in {path}"): value for name, value in values.items()}


def _known(names: Sequence[str], name: str, *, shown: str) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {PREFIX}{near[0].upper()}?" if near else "See the list of settings in the reference."
    raise Invalid(f"There is no setting {shown}.", code="unknown_setting", remedy=hint)
