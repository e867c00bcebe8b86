"""Whatever order tenants act in, and whenever the sealer comes by, each chain is whole and tells what was done."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.audit.chain import FACTS, verify
from freehold.audit.reading import every_link
from freehold.audit.recording import record
from freehold.audit.sealing import seal, seal_batch
from freehold.gateway.tables import audit
from tests.records import store

TENANTS = st.sampled_from(["", "ten_1", "ten_2", "ten_3"])
WORDS = st.text(max_size=20).filter(lambda word: word.isprintable())
ROWS = st.tuples(TENANTS, WORDS, st.dictionaries(st.sampled_from(FACTS), WORDS, max_size=3))
SEALS = st.integers(min_value=1, max_value=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(ROWS, SEALS), max_size=30))
def test_any_interleaving_seals_to_whole_chains(story: list[tuple[str, str, dict[str, str]] | int]) -> None:
    with TemporaryDirectory() as folder:
        database = store(Path(folder))
        told: dict[str, list[tuple[str, dict[str, str]]]] = {}
        for step in story:
            with database.write() as tx:
                if isinstance(step, int):
                    seal_batch(tx, audit, store="gateway", limit=step)
                    continue
                tenant, word, facts = step
                record(tx, audit, at=1, tenant=tenant, actor="a", action="b", subject=word, detail={"w": word}, **facts)
                told.setdefault(tenant, []).append((word, facts))
        seal(database, audit, store="gateway")
        with database.read() as tx:
            links = list(every_link(tx, audit, store="gateway"))
        database.close()
    assert verify(links).ok
    for tenant, rows in told.items():
        chain = [link for link in links if link.tenant == tenant]
        assert [link.seq for link in chain] == list(range(1, len(rows) + 1))
        assert [link.subject for link in chain] == [word for word, _ in rows]
        for link, (_, facts) in zip(chain, rows, strict=True):
            assert {fact: getattr(link, fact) for fact in FACTS} == dict.fromkeys(FACTS, "") | facts
