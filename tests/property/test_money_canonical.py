"""The quick way to spell a row of the record gives the same bytes as the thorough one."""

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from freehold.audit.canonical import canonical

items = st.one_of(st.text(), st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none())


@given(value=st.dictionaries(st.text(), items))
def test_a_flat_row_is_spelt_as_the_standard_says(value: dict[str, object]) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]
