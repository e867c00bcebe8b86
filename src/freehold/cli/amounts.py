"""Dollars and shares as people type them, and as they are shown: never as floating-point numbers in between."""

from decimal import Decimal, InvalidOperation
from typing import Final

import typer

NANO: Final = Decimal(10) ** 9
PPM: Final = 1_000_000


def nano(text: str, *, below: bool = False) -> int:
    """Return an amount such as `12.50` or `$12.50` in whole nano-USD; `below` nothing only where that makes sense."""
    amount = _number(text.strip().removeprefix("$"))
    if amount is None or (amount < 0 and not below) or amount * NANO % 1:
        raise typer.BadParameter(f"{text!r} is no amount; write dollars, such as 12.50.")
    return int(amount * NANO)


def ppm(text: str) -> int:
    """Return a share such as `20%` in millionths."""
    share = _number(text.strip().removesuffix("%"))
    if share is None or share < 0 or share * PPM / 100 % 1:
        raise typer.BadParameter(f"{text!r} is no share; write percent, such as 20%.")
    return int(share * PPM / 100)


def dollars(amount: int | None) -> str:
    """Return nano-USD as dollars: to the cent, or as far as it takes to show something."""
    if amount is None:
        return "-"
    exact = Decimal(amount) / NANO
    if exact % 1 and abs(exact) < 1:
        whole, _, fraction = f"{exact:.9f}".partition(".")
        return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return f"${exact:,.2f}"


def percent(share: int) -> str:
    """Return millionths as percent."""
    return f"{(Decimal(share) * 100 / PPM).normalize():f}%"


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def size(count: int) -> str:
    """Return bytes as people read them, in powers of a thousand."""
    for unit, worth in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= worth:
            return f"{count / worth:,.1f} {unit}"
    return f"{count} bytes"
