"""Pages without a server: words in every language, texts from elsewhere made visible, places that are ours."""

import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.people import MemberState, PlatformRole, Role, SignIn
from freehold.settings import Settings
from freehold.web.pages import rendering
from freehold.web.pages.forms import HOME, local
from freehold.web.pages.showing import pieces, shown
from freehold.web.pages.static import assets
from freehold.web.pages.words import LANGUAGES, Words, language_of, texts

FOLDER = Path(rendering.__file__).parent


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_says_the_same_things_about_the_same_values(language: str) -> None:
    spoken, ours = texts(LANGUAGES[0]), texts(language)
    assert ours.keys() == spoken.keys()
    assert {name: names_in(text) for name, text in ours.items()} == {
        name: names_in(text) for name, text in spoken.items()
    }


def test_every_text_is_used_and_every_used_text_is_written() -> None:
    source = "\n".join(file.read_text() for file in [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.html")])
    whole = set(re.findall(r"words\(\s*f?['\"]([a-z_]+\.[a-z_]+)['\"](?!\s*~)", source))
    begun = set(re.findall(r"['\"]([a-z_]+\.[a-z_]*)['\"]\s*~", source)) | {
        "problem.",
        "approve.",
        "invite.",
        "connect.failed_",
        "effect.",
    }
    written = set(texts("en"))
    assert whole <= written
    others = {name for name in written - whole if not name.startswith(tuple(begun)) and f'"{name}"' not in source}
    assert {name for name in others if f"'{name}'" not in source and f'self("{name}")' not in source} == set()


def test_every_role_and_way_has_a_word() -> None:
    words = Words("en")
    for role in Role:
        assert words(f"role.{role}")
        assert words(f"role_may.{role}")
    for way in SignIn:
        assert words(f"way.{way}")
    for platform in PlatformRole:
        assert words(f"platform_role.{platform}")
    assert MemberState.SUSPENDED


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        (("",), "en"),
        (("de-AT,de;q=0.9,en;q=0.5",), "de"),
        (("fr,en;q=0.4,de;q=0.7",), "de"),
        (("fr, *;q=0.1",), "en"),
        (("de;q=0, en",), "en"),
        (("en-GB", "de"), "en"),
        (("", "de"), "de"),
        ((",,;q=,\x00" * 400,), "en"),
    ],
)
def test_people_are_spoken_to_in_a_language_they_asked_for(wishes: tuple[str, ...], language: str) -> None:
    assert language_of(*wishes) == language


def test_a_time_is_told_where_people_are() -> None:
    at = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert Words("en", "Europe/Berlin").moment(at) == "22 November 2026, 00:30 CET"
    assert Words("de").moment(at) == "21. November 2026, 23:30 UTC"
    assert Words("en", "Nowhere/Land").moment(at) == "21 November 2026, 23:30 UTC"


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",
        "\u200b",
        "\u2066",
        "\ufeff",
        "\x00",
        "\x1b",
        "\r",
        "\u2028",
        "\u00a0",
        "\u3164",
        "\ufe0f",
        "\U000e0041",
    ],
)
def test_what_cannot_be_seen_is_shown_as_a_marked_code(hidden: str) -> None:
    before, odd, after = pieces(f"pay {hidden}now")
    assert (before.text, odd.text, after.text) == ("pay ", f"U+{ord(hidden):04X}", "now")
    assert (before.odd, odd.odd, after.odd) == (False, True, False)


def _character(code: str) -> str:
    return chr(int(code.replace("U+", "0x"), base=0))


@given(st.text())
def test_nothing_is_lost_and_nothing_odd_stays(text: str) -> None:
    found = pieces(text)
    back = "".join(_character(piece.text) if piece.odd else piece.text for piece in found)
    assert back == text
    assert not any("\u200b" in piece.text or "\u202e" in piece.text for piece in found)


@pytest.mark.parametrize("value", ["1", "null", "[]", '"x"', " x", "x ", "", "\t"])
def test_a_text_that_could_be_taken_for_something_else_is_quoted(value: str) -> None:
    [told] = shown({"a": value})
    assert "".join(piece.text for piece in told.pieces).startswith('"')


def test_a_text_stands_as_it_is_and_says_how_long_it_is() -> None:
    [told, listed] = shown({"body": "Dear,\n\nyou\n", "to": ["a", "b"]})
    assert (told.pieces[0].text, told.characters, told.lines, told.long) == ("Dear,\n\nyou\n", 11, 4, True)
    assert listed.pieces[0].text == '[\n  "a",\n  "b"\n]'


@pytest.mark.parametrize("place", ["/", "/account", "/approve/apr_1?a=b%20c"])
def test_a_place_of_ours_is_where_people_go_next(place: str) -> None:
    assert local(place) == place


@pytest.mark.parametrize(
    "place",
    ["", "account", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/a\nb", "/\t/evil", "/ä"],
)
def test_a_place_elsewhere_is_never_where_people_go_next(place: str) -> None:
    assert local(place) == HOME


def test_a_value_never_becomes_markup() -> None:
    told = rendering.rendered(
        "told.html",
        Words("en"),
        Settings(),
        title="<script>alert(1)</script>",
        lines=['"><img src=x onerror=alert(1)>'],
        way_on=None,
        number="",
    )
    assert "<script>" not in told
    assert "<img" not in told


def test_no_page_asks_anybody_else_for_anything() -> None:
    for file in [*FOLDER.glob("templates/*.html"), *FOLDER.glob("static/*")]:
        addresses = re.findall(r"https?://[^\s\"']+", file.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name
        assert " style=" not in file.read_text(), "the policy allows no inline styles"


def test_a_file_changes_its_name_with_its_content() -> None:
    found = assets()["style.css"]
    assert re.fullmatch(r"/static/style-[0-9a-f]{16}\.css", found.address)
