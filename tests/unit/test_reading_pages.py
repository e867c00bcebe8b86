"""Pages as a model reads them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.agents.page_tokens import tokens
from freehold.agents.reading_pages import readable
from freehold.agents.web_tools import SHOWN, shown

PAGE = """<!doctype html><html><head><title>Ada &amp; Co</title><style>p{}</style><script>"<p>no</p>"</script></head>
<body><nav><a href=/>Home</a></nav><h1>Hello</h1><p>One <b>two</b>
three <a href="/about?x=1">about <i>us</i></a>.</p><ul><li>a<li>b<ul><li>b1</ul></ul><ol><li>x</li><li>y</li></ol>
<table><tr><th>Name</th><th>Age</th></tr><tr><td>Ada</td><td><p>36</p></td></tr></table>
<pre>def f():
    return 1</pre><img src=x alt="A cat"><p>end&nbsp;.<br>last</p><a href="javascript:x()">go</a></body></html>"""
READ = """# Ada & Co

# Hello

One two three [about us](https://a.example/about?x=1).

- a
- b
  - b1

1. x
2. y

Name | Age
Ada | 36

```
def f():
    return 1
```

[image: A cat]

end .
last

go"""


def test_a_page_is_headings_paragraphs_lists_tables_and_links() -> None:
    assert readable(PAGE, base="https://a.example/x/") == READ


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>no",
        "<p hidden>no<p>seen",
        "<div style='display : none'>no <div>no</div> no</div>",
        "<span style='visibility:hidden'>no</span>",
        "<span style='font-size:0px'>no</span>",
        "<div aria-hidden=TRUE>no</div>",
        "<template>no</template>",
        "<noscript>no</noscript>",
        "<svg><title>no</title></svg>",
        "<!-- no -->",
        "<script>no</script >",
        "<style>no",
        "<input value=no>",
        "<iframe srcdoc='no'>no</iframe>",
    ],
)
def test_what_no_reader_sees_is_left_out(hidden: str) -> None:
    said = readable(f"<p>seen</p>{hidden}")
    assert "seen" in said
    assert "no" not in said


def test_signs_that_show_nothing_are_taken_out() -> None:
    assert readable("a\u200bb\u202ec\U000e0041d &#x200b;e") == "abcd e"


@pytest.mark.parametrize(
    "piece",
    [
        "<div>", "<", "<!--", "<!", "<?", "</", "<a ", "<a b='", '<a b="c" ', "<a href=x>", "<script>", "<![CDATA[", "&",
        "&#", "&#x", "<ul><li>", "<table><tr><td>", "<p style='", "<title>", "<pre>", "\0", "<a b=", "<a/", " ",
    ],
)  # fmt: skip
def test_no_page_takes_long_to_read(piece: str) -> None:
    began = time.process_time()
    readable(piece * ((1 << 18) // len(piece)))
    assert time.process_time() - began < 5


def test_a_number_of_thousands_of_digits_is_left_as_it_is() -> None:
    assert readable("x &#" + "1" * 5000 + ";").startswith("x &#111")


@given(st.text(alphabet="<>/!-= '\"abp&;#x0", max_size=200))
def test_every_page_is_cut_and_read(page: str) -> None:
    assert sum(1 for _ in tokens(page)) <= len(page) * 2
    readable(page)


def test_a_long_page_is_cut_and_says_so() -> None:
    said = shown({"url": "https://a.example/", "status": 404, "type": "text/plain", "text": "x" * (SHOWN + 1)})
    assert said.startswith("https://a.example/ (status 404)\n\nxxx")
    assert said.endswith("[the rest of the page is left out]")


def test_text_that_is_no_page_stays_as_it_is() -> None:
    assert shown({"url": "u", "status": 200, "type": "application/json", "text": '{"a": "<b>"}'}) == 'u\n\n{"a": "<b>"}'
