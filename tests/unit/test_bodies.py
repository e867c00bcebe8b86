"""Bodies are changed at their top level, and nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Invalid
from freehold.gateway.calls import bodies
from freehold.gateway.calls.bodies import GONE

LONG = b'"' + b"x" * (1 << 17) + b'"'
"""Long enough to be gone through rather than spotted."""


@pytest.mark.parametrize(
    ("body", "changes", "expected"),
    [
        (b'{"model":"a"}', {"model": "b"}, b'{"model":"b"}'),
        (b' { "model" : "a" , "n":1}\n', {"model": "b"}, b' { "model" : "b" , "n":1}\n'),
        (b"{}", {"model": "b"}, b'{"model":"b"}'),
        (b"{ \n}", {"model": "b"}, b'{ \n"model":"b"}'),
        (b'{"n":1}', {"model": "b"}, b'{"n":1,"model":"b"}'),
        (b'{"model":"a","n":1}', {"model": "b", "x": [1]}, b'{"model":"b","n":1,"x":[1]}'),
        (b'{"model":"a","model":"b"}', {"model": "c"}, b'{"model":"c","model":"c"}'),
        (b'{"mod\\u0065l":"a"}', {"model": "b"}, b'{"mod\\u0065l":"b"}'),
        (b'{"max_tokens":1,"MAX_TOKENS":900}', {"max_tokens": 5}, b'{"max_tokens":5,"MAX_TOKENS":5}'),
        (b'{"Max_Tokens":900}', {"max_tokens": 5}, b'{"Max_Tokens":5,"max_tokens":5}'),
        (b'{"a":{"model":"x"},"model":"a"}', {"model": "b"}, b'{"a":{"model":"x"},"model":"b"}'),
        (b'{"a":"model","model":"a"}', {"model": "b"}, b'{"a":"model","model":"b"}'),
        (b'{"a":"\\"model\\":1","model":"a"}', {"model": "b"}, b'{"a":"\\"model\\":1","model":"b"}'),
        (b'{"a":{"model":"x"}}', {"model": "b"}, b'{"a":{"model":"x"},"model":"b"}'),
        (b'{"x":123456789012345678901234567890.10,"n":1}', {"n": 2}, b'{"x":123456789012345678901234567890.10,"n":2}'),
        (b'{"n":1.0e2 ,"m":-0}', {"n": 2, "m": 3}, b'{"n":2 ,"m":3}'),
        (b'{"a":1,"b":2,"c":3}', {"b": GONE}, b'{"a":1,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', {"c": GONE}, b'{"a":1,"b":2}'),
        (b'{"a":1,"b":2,"c":3}', {"b": GONE, "c": GONE}, b'{"a":1}'),
        (b'{"a":1,"b":2,"c":3}', {"a": GONE, "b": GONE, "c": GONE}, b"{}"),
        (b'{"a":1,"b":2}', {"a": GONE, "b": GONE, "x": 1}, b'{"x":1}'),
        (b'{"a":1, "b":2 }', {"b": GONE, "x": 1}, b'{"a":1 ,"x":1}'),
        (b'{"a":1}', {"b": GONE}, b'{"a":1}'),
    ],
)
def test_only_what_is_changed_changes(body: bytes, changes: dict[str, object], expected: bytes) -> None:
    assert bodies.edited(body, changes) == expected


@pytest.mark.parametrize("padded", [b"", b',"pad":' + LONG])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1}",
        b"x}",
        b'{"a":1',
        b'{"a":1,}',
        b'{"a":1}}',
        b'{"a" 1}',
        b'"a"',
        b"null",
        b'{"a":1}{',
        b'{,"a":1}',
        b'{"a":}',
    ],
)
def test_what_is_no_object_is_refused(body: bytes, padded: bytes) -> None:
    long = body + b" " * 70_000 if padded else body
    with pytest.raises(Invalid) as caught:
        bodies.edited(long, {"model": "b"})
    assert caught.value.code == "bad_body"


def test_nesting_without_end_is_refused() -> None:
    deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    for refuse in (bodies.top, lambda body: bodies.edited(body, {"model": "b"})):
        with pytest.raises(Invalid):
            refuse(deep)


names = st.sampled_from(["model", "Model", "stream", "max_tokens", "ü", 'a"b', "a\\b", ""]) | st.text(max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
changed = st.dictionaries(st.sampled_from(["model", "stream", "max_tokens"]), values | st.just(GONE), max_size=3)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")])


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Any]]]:
    """Draw an object in some spelling, with names that may stand twice, and its members in order."""
    pairs = draw(st.lists(st.tuples(names, values), max_size=6))
    comma, colon = draw(separators)
    plain = draw(st.booleans())
    text = comma.join(json.dumps(n, ensure_ascii=plain) + colon + json.dumps(v, ensure_ascii=plain) for n, v in pairs)
    return ("{" + text + "}").encode("utf-8", "surrogatepass"), pairs


@given(objects(), changed, st.sampled_from(["short", "long"]))
def test_the_reader_of_a_changed_body_sees_what_was_there_and_what_was_changed(
    drawn: tuple[bytes, list[tuple[str, Any]]],
    changes: dict[str, Any],
    size: str,
) -> None:
    body, pairs = drawn
    if size == "long":  # the other way to find members
        body, pairs = b'{"pad":' + LONG + (b"," if pairs else b"") + body[1:], [("pad", "x" * (1 << 17)), *pairs]
    try:
        body.decode()
    except UnicodeDecodeError:
        return  # lone halves of a pair are no UTF-8, and no body
    lowered = {name.lower(): name for name in changes}
    kept = {name: value for name, value in pairs if name.lower() not in lowered}
    for name, _ in pairs:
        like = lowered.get(name.lower())
        if like is not None and changes[like] is not GONE:
            kept[name] = changes[like]
    kept |= {name: value for name, value in changes.items() if value is not GONE}
    assert json.loads(bodies.edited(body, changes)) == kept


@given(objects())
def test_a_body_without_changes_stays_as_it_is(drawn: tuple[bytes, list[tuple[str, Any]]]) -> None:
    assert bodies.edited(drawn[0], {}) == drawn[0]


def test_the_last_of_two_counts() -> None:
    members = bodies.top(b'{"n":1,"n":[2 ]}')
    assert (bytes(members["n"]), bodies.value(members["n"]), bodies.value(None)) == (b"[2 ]", [2], None)


FORM = (
    b'--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"\x00\xff\r\n--cu\r\nmodel\r\n\r\n--cut\r\n"
    b'content-disposition: form-data; name="language"\r\n\r\nde\r\n--cut--\r\n'
)
TYPE = 'multipart/form-data; boundary="cut"'


def test_a_form_is_read_without_its_sound() -> None:
    parts = bodies.form(FORM, TYPE)
    assert bodies.fields(FORM, parts) == {"model": "whisper", "language": "de"}
    sound = parts[1]
    assert (sound.name, sound.filename) == ("file", "a.wav")
    assert FORM[sound.start : sound.end] == b"\x00\xff\r\n--cu\r\nmodel\r\n"


def test_a_field_is_changed_and_every_other_byte_stays() -> None:
    assert bodies.form_edited(FORM, TYPE, {"model": "large"}) == FORM.replace(b"whisper", b"large")


def test_a_missing_field_is_added_and_the_rest_stays() -> None:
    made = bodies.form_edited(FORM, "multipart/form-data; boundary=cut", {"response_format": "json"})
    assert made.endswith(FORM)
    assert bodies.fields(made, bodies.form(made, TYPE))["response_format"] == "json"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (FORM, "application/json"),
        (FORM, "multipart/form-data"),
        (FORM, "multipart/form-data; boundary=other"),
        (FORM[:-4], TYPE),
        (b"", TYPE),
        (b"--cut--\r\n", TYPE),
        (FORM.replace(b'name="model"', b"name=model"), TYPE),
        (FORM.replace(b"form-data;", b"form-data;\r\n "), TYPE),
        (FORM.replace(b'name="model"', b'name="x"\r\nContent-Disposition: form-data; name="model"'), TYPE),
    ],
)
def test_what_could_be_read_in_two_ways_is_no_form(body: bytes, content_type: str) -> None:
    with pytest.raises(Invalid) as caught:
        bodies.form(body, content_type)
    assert caught.value.code == "bad_body"
