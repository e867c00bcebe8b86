"""Pages as browsers ask for them: headers, refusals told in words, files that are kept for good."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from freehold.web.pages.static import assets
from tests.webs import ADDRESS, Web, client, made

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def anybody(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.headers.update(BROWSER)
        yield asking


def test_a_browser_that_is_lost_is_told_so_in_words(anybody: TestClient) -> None:
    told = anybody.get("/nowhere", headers={"Accept-Language": "de"})
    assert (told.status_code, told.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'lang="de"' in told.text
    assert "Das hat nicht geklappt" in told.text
    assert told.headers["x-request-id"] in told.text


def test_a_program_is_answered_as_programs_are(anybody: TestClient) -> None:
    for path in ("/api/v1/tenants", "/v1/models", "/hooks/none"):
        assert "json" in anybody.request("POST" if "hooks" in path else "GET", path).headers["content-type"], path
    assert anybody.get("/nowhere", headers={"Accept": "*/*"}).json()["code"] == "not_found"


def test_a_browser_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    web = made(tmp_path, rate_address=1)
    with client(web, None) as asking:
        told = [asking.get("/sign-in", headers=BROWSER) for _ in range(12)][-1]
    assert (told.status_code, told.headers["retry-after"]) == (429, "1")
    assert "Try again in 1 s." in told.text


def test_a_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(anybody: TestClient) -> None:
    told = anybody.get("/nowhere")
    rules = told.headers["content-security-policy"].split("; ")
    assert rules == [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["referrer-policy"] == "same-origin"
    assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("email", ["", "bad"])
def test_no_attribute_of_a_field_touches_the_one_before(anybody: TestClient, email: str) -> None:
    """Browsers forgive it; what checks pages does not."""
    ours = {"Origin": f"http://{ADDRESS}"}
    told = anybody.post("/sign-in", data={"email": email}, headers=ours) if email else anybody.get("/sign-in")
    [field] = re.findall(r'<input id="email"[^>]*>', told.text)
    assert re.search(r'="[^"]*"[a-z]', field) is None
    assert "autofocus" in field


def test_a_file_is_kept_for_good_under_the_name_of_its_content(anybody: TestClient) -> None:
    [address] = re.findall(r'href="(/static/style-[^"]+)"', anybody.get("/nowhere").text)
    told = anybody.get(address)
    assert (told.status_code, told.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert told.content == assets()["style.css"].body
    assert anybody.get("/static/style-0000000000000000.css").status_code == 404


def test_whoever_is_not_signed_in_is_sent_there_and_back(anybody: TestClient) -> None:
    told = anybody.get("/approve/apr_1?from=mail", follow_redirects=False)
    assert (told.status_code, told.headers["location"]) == (303, "/sign-in?next=/approve/apr_1%3Ffrom%3Dmail")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "null"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["nothing", "null", "foreign", "cross-site"],
)
def test_a_form_that_another_page_sent_is_refused(anybody: TestClient, headers: dict[str, str]) -> None:
    told = anybody.post("/approve/apr_1", data={"decision": "approve"}, headers=headers)
    assert told.status_code == 403
    assert "Another page than ours sent this." in told.text
