"""What people call a browser: `Firefox on Linux` rather than the long name it gives itself."""

from typing import Final

_NAMES: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python-httpx/", "Python"),
)
"""In this order: most browsers also claim to be those further down."""
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def known_as(client: str) -> str:
    """Return what people call the browser that calls itself `client`; empty for one that nobody would recognise."""
    name = next((name for mark, name in _NAMES if mark in client), "")
    system = next((system for mark, system in _SYSTEMS if mark in client), "")
    return " · ".join(part for part in (name, system) if part)
