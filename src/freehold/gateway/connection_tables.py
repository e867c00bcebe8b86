"""The tables of the gateway's store about connections: their tools, their accounts, and where they may lead."""

from enum import StrEnum
from typing import Final

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Text

from freehold.core.effects import EffectKind
from freehold.gateway.declaring import declared
from freehold.store.schema import one_of
from freehold.store.types import Coded, Json, Moment


class TokenState(StrEnum):
    """How somebody's consent to an account stands."""

    CONNECTED = "connected"
    EXPIRED = "expired"
    """It ran out, or the provider takes it back: a person has to sign in again."""


connections = declared(
    "connections",
    Column("name", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("secret", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

tools = declared(
    "tools",  # what connections can do besides what their kind can: as a server or a document told it last
    Column("connection", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("kind", Coded(EffectKind), nullable=False),
    Column("kind_by", Text, nullable=False),  # who said so; empty: what told of the tool
    Column("how", Json, nullable=False),  # the driver's own: how the tool is called
    Column("hash", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
    one_of("kind", EffectKind),
    data_class="configuration",
    retention="tenant",
)

destinations = declared(
    "destinations",  # places in private networks that an operator opened
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),  # 0: every one
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

tokens = declared(
    "tokens",  # accounts that somebody signed in to; the tokens themselves lie in the vault
    Column("connection", Text, primary_key=True),
    Column("state", Coded(TokenState), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("account", Text, nullable=False),  # as the provider calls it, where it says so
    Column("expires_at", Moment),
    Column("refreshable", Boolean, nullable=False),
    Column("connected_by", Text, nullable=False),
    Column("connected_at", Moment, nullable=False),
    Column("refreshed_at", Moment),
    Column("warned_at", Moment),
    one_of("state", TokenState),
    data_class="configuration",
    retention="tenant",
)

SIGN_IN: Final = "sign in"
"""What is sealed in `sign_ins` is sealed for this."""

sign_ins = declared(
    "sign_ins",  # to accounts, under way
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # what the provider was told and must come back with
    Column("started_by", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("outcome", Text, nullable=False),  # empty: open
    data_class="operation",
    retention="days:7",
)
