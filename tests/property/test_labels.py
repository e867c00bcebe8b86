"""Labels join like sets: order does not matter, and taint never goes away."""

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.parts import Label, Origin

labels = st.builds(
    Label,
    origins=st.frozensets(st.sampled_from(Origin)),
    readers=st.none() | st.frozensets(st.sampled_from(["mem_1", "mem_2", "chn_1"])),
)


@given(labels, labels)
def test_a_join_is_tainted_when_one_side_is(one: Label, other: Label) -> None:
    assert one.join(other).tainted == (one.tainted or other.tainted)


@given(labels, labels)
def test_order_does_not_matter(one: Label, other: Label) -> None:
    assert one.join(other) == other.join(one)


@given(labels)
def test_joining_with_itself_changes_nothing(one: Label) -> None:
    assert one.join(one) == one


@given(labels, labels, st.sampled_from(["mem_1", "mem_2", "chn_1"]))
def test_who_reads_a_join_may_read_both(one: Label, other: Label, reader: str) -> None:
    def may_read(label: Label) -> bool:
        return label.readers is None or reader in label.readers

    assert may_read(one.join(other)) == (may_read(one) and may_read(other))
