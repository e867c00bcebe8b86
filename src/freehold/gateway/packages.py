"""
Which packages of others this process has loaded, and why each may be here.

The gateway holds every key, so what it loads is counted, and what has no reason to be here is told as such.
"""

import sys
from importlib.metadata import packages_distributions, version
from typing import Any, Final

DIRECT: Final = {
    "aiohttp": "the one client that dials out",
    "authlib": "sign-in by a provider; only where one is stated",
    "joserfc": "signatures of ID tokens; only where a provider is stated",
    "msgspec": "requests, answers and settings, checked as they are read",
    "pynacl": "the vault: sealing, and the two kinds of key pairs",
    "rfc8785": "canonical JSON, for hashes that bind",
    "sqlalchemy": "the store, Core only",
    "typing-extensions": "override, on Python 3.11",
    "uvicorn": "serves the sockets",
    "uvloop": "the event loop",
    "yarl": "addresses, as aiohttp takes them",
}
"""What our own code in this process imports."""

BROUGHT: Final = {
    "aiohappyeyeballs": "aiohttp: connects to the first address that answers",
    "aiosignal": "aiohttp: its hooks",
    "anyio": "watchfiles, which uvicorn loads",
    "attrs": "aiohttp: its values",
    "cffi": "PyNaCl and cryptography: the way to libsodium and OpenSSL",
    "click": "uvicorn: loaded with it, unused here",
    "cryptography": "joserfc: RSA and elliptic curves; only where a provider is stated",
    "frozenlist": "aiohttp: its lists",
    "greenlet": "SQLAlchemy: loaded where it is installed",
    "h11": "uvicorn: loaded with it, unused here",
    "httptools": "uvicorn: reads HTTP",
    "idna": "yarl: names of hosts in any script",
    "multidict": "aiohttp: headers",
    "propcache": "yarl: remembers parts of addresses",
    "pycparser": "cffi",
    "python-dotenv": "uvicorn: loaded where it is installed, unused here",
    "pyyaml": "uvicorn: loaded where it is installed, unused here",
    "setuptools": "loaded by the environment it is installed in, unused here",
    "watchfiles": "uvicorn: loaded with it, unused here",
    "websockets": "uvicorn: loaded where it is installed, unused here",
}
"""What those bring along."""

_OURS: Final = "freehold"


def loaded() -> list[dict[str, Any]]:
    """Return `name`, `version`, `direct` and `reason` of every distribution of others that is loaded, by name."""
    tops = {module.partition(".")[0] for module in list(sys.modules)}
    owners = packages_distributions()
    found = {_plain(name): name for top in tops for name in owners.get(top, ())}
    return [
        {
            "name": name,
            "version": version(found[name]),
            "direct": name in DIRECT,
            "reason": DIRECT.get(name) or BROUGHT.get(name, ""),
        }
        for name in sorted(found)
        if name != _OURS
    ]


def _plain(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return name.lower().replace("_", "-").replace(".", "-")
