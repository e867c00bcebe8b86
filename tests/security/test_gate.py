"""The gate as clients meet it: whose address and whose page it lets through, how often, and what each answer says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.people import Role
from freehold.tenants.keys import mint
from freehold.web.building import build
from tests import crowd
from tests.security.test_hostile_clients import listening
from tests.webs import ADDRESS, OPERATOR, Web, bearer, client, made

POLICY = "default-src 'none'; frame-ancestors 'none'"
CAREFUL = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": POLICY,
}
COOKIE = {"Cookie": "a=b; __Host-freehold=whatever"}
OURS = f"http://{ADDRESS}"
SOMEWHERE = ("/api/v1/tenants", "/v1/models", "/api/openapi.json", "/hooks/chn_1", "/", "/nowhere")


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, None) as nobody:
        yield nobody


def code(answer: Any) -> tuple[int, str]:
    said = answer.json()
    return answer.status_code, said.get("code") or said["error"]["code"]


@pytest.mark.parametrize("path", SOMEWHERE)
def test_a_foreign_host_reaches_nothing(asking: TestClient, path: str) -> None:
    for host in ("evil.example", "evil.example:7070", ""):
        answer = asking.get(path, headers={"Host": host} | bearer(OPERATOR))
        assert code(answer) == (403, "foreign_host")


def test_health_is_told_under_any_name(asking: TestClient) -> None:
    assert asking.get("/healthz", headers={"Host": "10.1.2.3:7070"}).status_code in {200, 503}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:7070", "https://" + ADDRESS])
def test_a_foreign_page_is_refused_with_or_without_a_key(asking: TestClient, method: str, origin: str) -> None:
    for path in SOMEWHERE:
        for shown in ({}, bearer(OPERATOR), COOKIE):
            answer = asking.request(method, path, headers={"Origin": origin} | shown)
            assert code(answer) == (403, "foreign_origin"), (path, shown)
            assert "access-control-allow-origin" not in answer.headers


def test_a_stream_is_no_exception(web: Web, asking: TestClient) -> None:
    web.tenant("acme")
    asked = {"Origin": "http://evil.example", "Accept": "text/event-stream"} | bearer(OPERATOR)
    assert code(asking.get("/api/v1/tenants/acme/runs/run_1/events", headers=asked)) == (403, "foreign_origin")


def test_an_origin_that_comes_twice_is_foreign(asking: TestClient) -> None:
    twice = [("Origin", OURS), ("Origin", OURS), ("Authorization", f"Bearer {OPERATOR}")]
    assert code(asking.get("/api/v1/tenants", headers=twice)) == (403, "foreign_origin")


def test_our_own_page_may_ask_with_a_key(asking: TestClient) -> None:
    headers = {"Origin": OURS} | bearer(OPERATOR)
    assert asking.post("/api/v1/tenants", headers=headers, json={"slug": "acme"}).status_code == 201


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}]
)
def test_a_change_by_cookie_alone_shows_where_it_comes_from(asking: TestClient, headers: dict[str, str]) -> None:
    answer = asking.post("/api/v1/tenants", headers=COOKIE | headers, json={"slug": "acme"})
    assert code(answer) == (403, "foreign_origin")


@pytest.mark.parametrize("headers", [{"Origin": OURS}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_cookie_that_is_none_is_nobody(asking: TestClient, headers: dict[str, str]) -> None:
    answer = asking.post("/api/v1/tenants", headers=COOKIE | headers, json={"slug": "acme"})
    assert answer.status_code == 401


def test_a_session_changes_things_from_our_own_page_alone(web: Web, asking: TestClient) -> None:
    signed_in = crowd.signed_in(web, crowd.member(web, web.tenant("acme"), Role.OWNER))
    at, secret = "/api/v1/tenants/acme/secrets", {"name": "s", "value": "v"}
    cookie = {"Cookie": signed_in["Cookie"]}
    assert asking.post(at, headers=signed_in, json=secret).status_code == 201
    assert asking.post(at, headers=cookie | {"Sec-Fetch-Site": "same-origin"}, json=secret).status_code == 201
    assert asking.get(at, headers=cookie).status_code == 200
    for foreign in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Origin": "http://evil.example"}):
        assert code(asking.post(at, headers=cookie | foreign, json=secret)) == (403, "foreign_origin")
    assert web.gateway.secrets == {(secret_owner(web), "s"): 2}


def secret_owner(web: Web) -> str:
    with web.state.store.read() as platform:
        return platform.tenants.find("acme").id


def test_a_foreign_pages_picture_is_no_visit(asking: TestClient) -> None:
    fetched = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert code(asking.get("/api/v1/tenants", headers=COOKIE | fetched)) == (403, "foreign_origin")
    assert asking.get("/api/v1/tenants", headers=COOKIE | followed).status_code == 401


def test_a_key_counts_and_the_cookie_beside_it_does_not(asking: TestClient) -> None:
    shown = COOKIE | bearer(OPERATOR) | {"Sec-Fetch-Site": "cross-site"}
    assert asking.post("/api/v1/tenants", headers=shown, json={"slug": "acme"}).status_code == 201


def test_what_an_edge_asks_for_is_no_key_and_hides_no_session(asking: TestClient) -> None:
    basic = {"Authorization": "Basic dTpw"}
    assert asking.get("/api/v1/tenants", headers=basic).status_code == 401
    assert code(asking.post("/api/v1/tenants", headers=basic | COOKIE, json={})) == (403, "foreign_origin")


@pytest.mark.parametrize("host", [b"", b"Host: 127.0.0.1:7070\r\nHost: 127.0.0.1:7070\r\n", b"Host: 127.0.0.1\r\n"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_host_that_is_absent_or_comes_twice_is_foreign(tmp_path: Path, host: bytes, version: bytes) -> None:
    async with listening(tmp_path) as (reader, writer):
        writer.write(b"GET /api/openapi.json HTTP/" + version + b"\r\n" + host + b"\r\n")
        async with asyncio.timeout(5):
            status = (await reader.readline()).split()[1]
        assert status in {b"403", b"400"}


@pytest.mark.parametrize("origin", [b"http://evil.example", b"http://127.0.0.1:7070"])
async def test_nothing_is_upgraded_to_a_web_socket(tmp_path: Path, origin: bytes) -> None:
    async with listening(tmp_path) as (reader, writer):
        writer.write(
            b"GET /api/v1/tenants HTTP/1.1\r\nHost: 127.0.0.1:7070\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: "
            + origin
            + b"\r\n\r\n"
        )
        async with asyncio.timeout(5):
            status = (await reader.readline()).split()[1]
        assert status in {b"401", b"403"}


@pytest.mark.parametrize("path", [*SOMEWHERE, "/healthz", "/api/v1/nowhere"])
def test_every_answer_tells_browsers_to_be_careful(asking: TestClient, path: str) -> None:
    for headers in ({}, bearer(OPERATOR), {"Host": "evil.example"}):
        answer = asking.get(path, headers=headers, follow_redirects=False)
        policy = answer.headers["content-security-policy"]  # a page states its own
        assert CAREFUL.items() <= (dict(answer.headers) | {"content-security-policy": POLICY}).items()
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "strict-transport-security" not in answer.headers


def test_a_bug_is_answered_carefully_too(web: Web, asking: TestClient) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("inner")

    web.tenant("acme")
    web.gateway.usage = broken  # type: ignore[method-assign]
    answer = asking.get("/api/v1/tenants/acme/usage", headers=bearer(OPERATOR))
    assert code(answer) == (500, "bug")
    assert CAREFUL.items() <= dict(answer.headers).items()
    assert "inner" not in answer.text


def test_where_the_platform_is_reached_safely_browsers_remember_it(tmp_path: Path) -> None:
    web = made(tmp_path, public_url="https://agents.example.com")
    with client(web, None) as asking:
        answer = asking.get("/healthz", headers={"Host": "agents.example.com"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_each_request_has_an_id_of_its_own_or_the_one_it_came_with(asking: TestClient) -> None:
    first, second = (asking.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first.startswith("req_")
    assert first != second
    named = asking.get("/healthz", headers={"X-Request-Id": "edge-7"})
    assert named.headers["x-request-id"] == "edge-7"
    forged = asking.get("/healthz", headers={"X-Request-Id": "a b\tc"})
    assert forged.headers["x-request-id"].startswith("req_")


def statuses(asking: TestClient, path: str, times: int, headers: dict[str, str] | None = None) -> list[int]:
    return [asking.get(path, headers=headers or {}).status_code for _ in range(times)]


def test_whoever_shows_nothing_is_counted_by_address(tmp_path: Path) -> None:
    web = made(tmp_path, rate_address=1, proxies="127.0.0.1")
    with TestClient(build(web.state), base_url=OURS, client=("127.0.0.1", 1)) as asking:
        here, there = ({"X-Forwarded-For": f"6.6.6.6, 192.0.2.{n}"} for n in (1, 2))
        assert statuses(asking, "/v1/models", 12, here) == [401] * 10 + [429] * 2
        refused = asking.get("/v1/models", headers=here)
        assert code(refused) == (429, "too_many_requests")
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.headers["retry-after"] == "1"
        assert statuses(asking, "/nowhere", 1, here) == [429]
        assert statuses(asking, "/nowhere", 1, there) == [404]
        web.clock.wind(1)
        assert statuses(asking, "/nowhere", 2, here) == [404, 429]


def test_a_flood_with_one_key_costs_no_query_and_harms_nobody_else(tmp_path: Path) -> None:
    web = made(tmp_path, rate_caller=1)
    tenant = web.tenant("acme")
    noisy, quiet = web.key(tenant), web.key(tenant)
    with client(web, None) as asking:
        assert statuses(asking, "/api/v1/tenants", 11, bearer(noisy)) == [200] * 10 + [429]
        web.state.store.database.close()  # whoever asks it now gets no 429
        assert statuses(asking, "/api/v1/tenants", 1, bearer(noisy)) == [429]
        assert statuses(asking, "/api/v1/tenants", 1, {"Authorization": f"bearer   {noisy}"}) == [429]
        assert statuses(asking, "/api/v1/tenants", 1, bearer(quiet)) != [429]


def test_a_wrong_key_uses_up_the_address_and_no_good_key(tmp_path: Path) -> None:
    web = made(tmp_path, rate_address=1)
    good = web.key(web.tenant("acme"))
    with client(web, None) as asking:
        assert statuses(asking, "/api/v1/tenants", 1, bearer(good)) == [200]
        for n in range(12):
            assert statuses(asking, "/api/v1/tenants", 1, bearer(mint(f"key_{n}"))) == [401 if n < 10 else 429]
        assert statuses(asking, "/api/v1/tenants", 1, bearer(good)) == [200]


def test_all_who_work_for_a_tenant_share_its_rate_and_no_other(tmp_path: Path) -> None:
    web = made(tmp_path, rate_tenant=1)
    acme, other = web.tenant("acme"), web.tenant("other")
    keys = [bearer(web.key(acme)) for _ in range(6)]
    with client(web, None) as asking:
        for key in keys[:5]:
            assert statuses(asking, "/api/v1/tenants/acme", 2, key) == [200, 200]
        assert statuses(asking, f"/api/v1/tenants/{acme.id}", 1, keys[5]) == [429]
        assert statuses(asking, "/api/v1/tenants/other", 3, bearer(web.key(other))) == [200] * 3


def test_a_stranger_takes_nothing_from_a_tenants_rate(tmp_path: Path) -> None:
    web = made(tmp_path, rate_tenant=1)
    acme, stranger = web.tenant("acme"), bearer(web.key(web.tenant("other")))
    with client(web, None) as asking:
        assert statuses(asking, "/api/v1/tenants/acme", 20, stranger) == [404] * 20
        assert statuses(asking, "/api/v1/tenants/acme", 1, bearer(web.key(acme))) == [200]


def test_the_operators_key_is_never_asked_to_wait(tmp_path: Path) -> None:
    web = made(tmp_path, rate_address=1, rate_caller=1, rate_tenant=1)
    web.tenant("acme")
    with client(web) as asking:
        assert statuses(asking, "/api/v1/tenants/acme", 30) == [200] * 30


def test_a_flood_of_strangers_hides_our_health_from_nobody_on_this_machine(tmp_path: Path) -> None:
    web = made(tmp_path, rate_address=1)
    with TestClient(build(web.state), base_url=OURS, client=("127.0.0.1", 1)) as asking:
        assert statuses(asking, "/nowhere", 11)[-1] == 429
        assert 429 not in statuses(asking, "/healthz", 20)
        assert statuses(asking, "/healthz", 1, {"X-Forwarded-For": "192.0.2.1"}) == [429]
