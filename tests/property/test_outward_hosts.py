"""A host has one spelling: what is taken is taken for the same again, and for nothing else."""

import contextlib
import ipaddress
import re

from hypothesis import example, given
from hypothesis import strategies as st

from freehold.core.errors import Invalid
from freehold.gateway.outward.hosts import host_of, place_in, place_of

SIGNS = st.text(alphabet="0123456789abcdefxXL.:[]%@/\\#?-_ \t\n。\uff0e1ⓛ\u0131İß\u017f\u200d\u00ad", max_size=24)
WORDS = st.lists(st.sampled_from(["127", "0", "1", "0x7f", "localhost", ".", "。", ":", "[", "]", "%", "@", "ﬀ", "::"]))


@given(st.one_of(st.text(max_size=40), SIGNS, WORDS.map("".join)))
def test_what_is_taken_for_a_host_is_spelt_so_that_it_is_taken_for_the_same_again(stated: str) -> None:
    with contextlib.suppress(Invalid):
        host = host_of(stated)
        assert host_of(host.in_url) == host
        assert host.in_url.isascii()
        assert not set(host.in_url) & set("/\\@?# \t\r\n%")
        assert place_in(f"http://{host.in_url}:80/").host == host
        assert place_of(f"{host.in_url}:80").host == host


@example("0XL")  # no number, for all that it begins like one
@given(st.one_of(SIGNS, WORDS.map("".join)))
def test_what_reads_as_a_number_at_its_end_is_an_address_or_nothing(stated: str) -> None:
    with contextlib.suppress(Invalid):
        host = host_of(stated)
        last = host.name.rpartition(".")[2]
        assert host.address is not None or not re.fullmatch("[0-9]+|0x[0-9a-f]*", last)


@given(st.ip_addresses())
def test_every_address_written_plainly_is_itself(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    host = host_of(f"[{address}]" if address.version == 6 else str(address))
    assert host.address == address
    assert host.name == str(address)


@given(st.one_of(st.text(max_size=60), SIGNS.map("http://{}/".format), SIGNS.map("https://a.example{}".format)))
def test_whatever_is_stated_as_an_address_is_read_or_refused(url: str) -> None:
    with contextlib.suppress(Invalid):
        place = place_in(url)
        assert 0 < place.port < 65_536
