"""A credential that a provider repeats goes no further, however its answer is cut into pieces."""

import base64
import itertools
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.ports import Call, Credential, ModelReply
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.scrubbing import Scrubbed, scrubbed
from tests.canaries import Finder, planted, repeated

SECRET = "sk-ab/ab+abab7f"
WAYS = (SECRET, base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex(), quote(SECRET, safe=""))


def passed(text: str, cuts: list[int], secret: str = SECRET) -> str:
    heard: list[str] = []
    pieces = Scrubbed(Credential(secret), heard.append)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    for begin, end in itertools.pairwise(ends):
        pieces.say(text[begin:end])
    pieces.finish()
    return "".join(heard)


@given(st.lists(st.sampled_from(["a", "b", "sk", "sk-ab", "sk-ab/ab", SECRET, " "])), st.lists(st.integers(0, 90)))
def test_pieces_come_to_the_same_as_the_whole(words: list[str], cuts: list[int]) -> None:
    text = "".join(words)
    said = passed(text, cuts)
    assert SECRET not in said
    assert said == Credential(SECRET).scrub(text)


@pytest.mark.parametrize("way", WAYS)
def test_every_usual_spelling_is_found_letter_by_letter(way: str) -> None:
    assert passed(f"you sent {way}!", list(range(200))) == "you sent [secret]!"


def test_a_credential_is_blotted_out_wherever_it_stands() -> None:
    blot = Blot(Credential("1234567890123"))
    said = blot.within({"a1234567890123": [1234567890123, "x 1234567890123", None, True, 1.5]})
    assert said == {"a[secret]": ["[secret]", "x [secret]", None, True, 1.5]}


def test_no_sign_is_cut_in_two() -> None:
    assert (
        passed("schlüssel sk-ä\ud800 schlüsselring", list(range(40)), "schlüsselring")
        == "schlüssel sk-ä\ud800 [secret]"
    )


def test_text_is_not_held_up_when_nothing_is_secret() -> None:
    heard: list[str] = []
    Scrubbed(Credential(), heard.append).say("sk-ab")
    Scrubbed(Credential(SECRET), heard.append).say("hello")
    assert heard == ["sk-ab", "hello"]


def test_calls_are_scrubbed_too() -> None:
    calls = (
        Call(id=SECRET, name="shell", arguments={"command": f"echo {SECRET}", SECRET: [{"deep": SECRET}], "n": 1}),
        Call(id="2", name="shell", arguments=f"no json {SECRET}"),
    )
    reply = ModelReply(
        text=SECRET, calls=calls, finish="stop", usage_in=1, usage_out=1, estimated=False, model=f"m-{SECRET}"
    )
    clean = scrubbed(reply, Credential(SECRET))
    shown = json.dumps([clean.text, clean.model, *[[call.id, call.name, call.arguments] for call in clean.calls]])
    assert SECRET not in shown
    assert shown.count("[secret]") == 7
    assert clean.calls[0].arguments == {"command": "echo [secret]", "[secret]": [{"deep": "[secret]"}], "n": 1}


@pytest.mark.parametrize("number", range(len(repeated(SECRET))))
def test_what_was_packed_up_is_not_passed_on_either(number: int) -> None:
    secret = planted("model")
    told = Credential(secret).scrub(f"it was {repeated(secret)[number]}.")
    assert "[secret]" in told
    assert Finder().found("told", told.encode()) == []
