"""A gateway's store without the gateway around it: what tests of the vault need often."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection as Tx

from freehold.app.gateway_store import MIGRATIONS
from freehold.core.effects import EffectState
from freehold.core.ids import Ids
from freehold.gateway import ledger, pairs, secrets
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.testing.clock import FakeClock
from freehold.vault.sealing import Vault
from tests.shelves import taken

MANY = 50
"""How many secrets a vault is filled with."""
MASTER = bytes(range(32))


@contextmanager
def kept(folder: Path, master: bytes = MASTER) -> Iterator[Keep]:
    clock = FakeClock()
    keep = Keep(taken(MIGRATIONS, folder / "gateway.db"), Vault(master), clock=clock, new_id=Ids(clock.now))
    try:
        yield keep
    finally:
        keep.close()


def put(keep: Keep, name: str, value: str, tenant: str | None = "ten_1") -> None:
    keep.written(lambda tx: secrets.put(tx, keep, tenant=tenant, name=name, value=value, by="tester"))


def opened(keep: Keep, name: str, tenant: str | None = "ten_1") -> str:
    return str(keep._read(lambda tx: secrets.opened(tx, keep, tenant=tenant, name=name)).reveal())


def forget(keep: Keep) -> None:
    """Stand like a gateway that was just started."""
    keep.remembered.clear()


def carried_out(keep: Keep, tenant: str, key: str, said: str = "") -> None:
    """Write down an effect that was done, with what went in and what came of it."""
    told = {"said": said}
    intent = Intent(
        tenant=tenant, key=key, run="run_1", hash="h", connection="x", operation="o", arguments=said.encode() or b"{}"
    )
    keep.written(partial(ledger.write, keep=keep, intent=intent, state=EffectState.OPEN, first=True))
    closing: dict[str, Any] = {"state": EffectState.DONE, "outcome": {"result": told}, "actor": "tester"}
    keep.written(partial(ledger.close, keep=keep, tenant=tenant, key=key, **closing))


def fill(keep: Keep, many: int = MANY, tenant: str = "ten_1") -> None:
    def all_at_once(tx: Tx) -> None:
        for number in range(many):
            secrets.put(tx, keep, tenant=tenant, name=f"s{number}", value=f"value {number}", by="tester")
        pairs.public_key(tx, keep, tenant=tenant, purpose="texts")

    keep.written(all_at_once)
    for number in range(many // 10):
        carried_out(keep, tenant, f"run_1/1/{number}/1", f"said {number}")


def whole(keep: Keep, many: int = MANY, tenant: str = "ten_1") -> None:
    """Demand that everything opens, and is as listed."""
    forget(keep)
    for number in range(many):
        assert opened(keep, f"s{number}", tenant) == f"value {number}"
    for number in range(many // 10):
        seen = keep._read(partial(ledger.look, keep=keep, tenant=tenant, key=f"run_1/1/{number}/1"))
        assert seen is not None
        assert seen.outcome == {"result": {"said": f"said {number}"}}
    keep._read(lambda tx: pairs._private(tx, keep, tenant=tenant, purpose="texts"))
    assert keep._read(lambda tx: keep.manifests.faults(tx, tenant)) == []
