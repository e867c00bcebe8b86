"""Mails of the platform's own: what they say, in the language of whoever reads them, and that they go out."""

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from freehold.core.errors import FreeholdError, Unavailable
from freehold.gateway.client import WebGateway
from freehold.tenants.addresses import mask

log = logging.getLogger(__name__)

TEXTS: Final = "freehold.web.mail_texts"
LANGUAGES: Final = ("en", "de")
"""The first is written to whoever wishes for none of the others."""
NOBODY: Final = "nobody@localhost"
"""Who a mail is made out to that goes to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail, ready to go."""

    key: str
    """It goes out once per key."""
    to: str
    subject: str
    text: str
    decoy: bool = False
    """Whether only the work of it is done, and nothing goes out."""


def mail(name: str, *, key: str, to: str, language: str, decoy: bool = False, **values: object) -> Mail:
    """Return the mail `name` in the language that fits, filled with `values`; a decoy keeps nobody's address."""
    subject, text = (said(language, name, part).format(**values) for part in ("subject", "text"))
    return Mail(key=key, to=NOBODY if decoy else to, subject=subject, text=text.lstrip("\n"), decoy=decoy)


def said(language: str, name: str, part: str) -> str:
    """Return one text in the language that fits."""
    spoken = language.partition("-")[0].lower()
    return texts(spoken if spoken in LANGUAGES else LANGUAGES[0])[name][part]


async def send(gateway: WebGateway, mail: Mail) -> None:
    """
    Let `mail` go out; if it cannot, the log says so and nobody else is told.

    Whoever asked has their answer by then, the same whether or not there was anybody to write to.
    """
    try:
        await gateway.send_mail(to=mail.to, subject=mail.subject, text=mail.text, key=mail.key, decoy=mail.decoy)
    except FreeholdError as error:
        log.warning("A mail to %s did not go out: %s %s", mask(mail.to), error.message, error.remedy)


async def go_out(gateway: WebGateway, mail: Mail) -> None:
    """
    Let `mail` go out; if it cannot, the log says so, and it is not tried again.

    Raises `Unavailable` (`gateway_away`) where nobody was there to take it: then all of it may be done again.
    """
    try:
        await gateway.send_mail(to=mail.to, subject=mail.subject, text=mail.text, key=mail.key)
    except FreeholdError as error:
        if isinstance(error, Unavailable) and error.code == "gateway_away":
            raise
        log.warning("A mail to %s did not go out: %s %s", mask(mail.to), error.message, error.remedy)


@cache
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """Return the mails in `language`, each a `subject` and a `text`, by their names, and words that occur in them."""
    return tomllib.loads(files(TEXTS).joinpath(f"{language}.toml").read_text(encoding="utf-8"))
