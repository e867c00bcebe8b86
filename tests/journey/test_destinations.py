"""Destinations over the API: operators open and close them, tenants do not, and the next call goes by what is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from freehold.testing.upstream.server import serving
from freehold.web.building import build
from tests.gateways import Kit, running
from tests.webs import ADDRESS, OPERATOR, Web, bearer, made

PATH = "/api/v1/tenants/acme"


@asynccontextmanager
async def open_house(data: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Web, Kit]]:
    """Give a client of the operator's, to an application in front of a real gateway."""
    async with running(data) as kit:
        web = made(data, gateway=kit.web)
        transport = httpx.ASGITransport(app=build(web.state))
        async with httpx.AsyncClient(
            transport=transport, base_url=f"http://{ADDRESS}", headers=bearer(OPERATOR)
        ) as asking:
            await asking.post("/api/v1/tenants", json={"slug": "acme", "draft": False})
            for one in (await asking.get("/api/v1/destinations")).json()["items"]:
                await asking.delete(f"/api/v1/destinations/{one['name']}")
            yield asking, web, kit


async def test_what_is_opened_is_listed_and_what_is_removed_is_not(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (asking, _, _):
        for_all = await asking.post("/api/v1/destinations", json={"name": "models", "place": "10.0.0.5:11434"})
        for_one = await asking.post(f"{PATH}/destinations", json={"name": "wiki", "place": "Wiki.Example.ORG.:*"})
        six = await asking.post(f"{PATH}/destinations", json={"name": "six", "place": "[FD00::0:1]:80"})
        assert (for_all.status_code, for_all.json()["place"], for_all.json()["tenant"]) == (201, "10.0.0.5:11434", None)
        assert (for_one.json()["place"], for_one.json()["port"]) == ("wiki.example.org:*", None)
        assert six.json()["place"] == "[fd00::1]:80"
        listed = (await asking.get(f"{PATH}/destinations")).json()["items"]
        assert [one["name"] for one in listed] == ["six", "wiki"]
        assert listed[0]["tenant"] == listed[1]["tenant"] != "acme"
        assert listed[0]["set_at"].endswith("Z")
        assert (await asking.delete(f"{PATH}/destinations/wiki")).status_code == 204
        assert [one["name"] for one in (await asking.get(f"{PATH}/destinations")).json()["items"]] == ["six"]
        gone = await asking.delete(f"{PATH}/destinations/wiki")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
        again = await asking.post(f"{PATH}/destinations", json={"name": "six", "place": "[fd00::1]:80"})
        assert again.status_code == 201
        other = await asking.post(f"{PATH}/destinations", json={"name": "six", "place": "[fd00::1]:81"})
        assert (other.status_code, other.json()["code"]) == (409, "duplicate_name")


@pytest.mark.parametrize("place", ["", "10.0.0.5", "10.0.0.5:0", "10.0.0.5:65536", "10.5:80", "http://a:80", "a b:80"])
async def test_a_place_that_could_be_read_in_two_ways_is_not_opened(tmp_path: Path, place: str) -> None:
    async with open_house(tmp_path) as (asking, _, _):
        answer = await asking.post("/api/v1/destinations", json={"name": "odd", "place": place})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_host")


async def test_opening_and_closing_are_on_the_record(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (asking, web, kit):
        await asking.post(f"{PATH}/destinations", json={"name": "wiki", "place": "10.1.1.1:80"})
        await asking.delete(f"{PATH}/destinations/wiki")
        with web.state.store.read() as platform:
            tenant = platform.tenants.find("acme").id
        rows = [row for row in await kit.web.audit(tenant) if row["action"].startswith("destination.")]
        assert [(row["action"], row["subject"]) for row in rows] == [
            ("destination.allow", "wiki"),
            ("destination.remove", "wiki"),
        ]
        assert rows[0]["after"] == rows[1]["before"]


async def test_a_connection_works_from_the_moment_its_place_is_open_to_its_tenant_until_it_is_closed(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as (asking, _, _), serving() as model:
        await asking.post("/api/v1/tenants", json={"slug": "other", "draft": False})
        near = {"kind": "openai", "name": "near", "config": {"base_url": f"{model.url}/v1"}}
        refused = await asking.post(f"{PATH}/connections", json=near)
        assert (refused.status_code, refused.json()["code"]) == (403, "address_refused")
        place = model.url.removeprefix("http://")
        assert f"freehold destination allow NAME {place} --tenant" in refused.json()["remedy"]
        await asking.post(f"{PATH}/destinations", json={"name": "near", "place": place})
        assert (await asking.post(f"{PATH}/connections", json=near)).status_code == 201
        assert (await asking.post(f"{PATH}/connections/near/test")).json()["ok"]
        neighbour = await asking.post("/api/v1/tenants/other/connections", json=near)
        assert neighbour.json()["code"] == "address_refused"
        await asking.delete(f"{PATH}/destinations/near")
        told = (await asking.post(f"{PATH}/connections/near/test")).json()
        assert (told["ok"], told["error"]["code"]) == (False, "address_refused")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:1", "address_refused"),
        ("LocalHost.:1", "address_refused"),
        ("api.localhost", "address_refused"),
        ("127.0.0.1", "address_refused"),
        ("[::1]:8080", "address_refused"),
        ("10.0.0.1", "address_refused"),
        ("169.254.169.254", "address_refused"),
        ("[::ffff:127.0.0.1]", "address_refused"),
        ("0x7f.1", "bad_host"),
    ],
)
async def test_a_tenants_connection_to_what_nobody_opened_is_not_even_made(
    tmp_path: Path, host: str, code: str
) -> None:
    async with open_house(tmp_path) as (asking, _, _):
        body = {"kind": "openai", "name": "near", "config": {"base_url": f"http://{host}/v1"}}
        refused = await asking.post(f"{PATH}/connections", json=body)
        assert refused.json()["code"] == code
        assert (await asking.get(f"{PATH}/connections")).json()["items"] == []


async def test_a_connection_is_not_changed_to_lead_to_what_nobody_opened(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (asking, _, _):
        far = {"kind": "openai", "name": "far", "config": {"base_url": "https://api.example.com/v1"}}
        assert (await asking.post(f"{PATH}/connections", json=far)).status_code == 201
        near = {"config": {"base_url": "http://127.0.0.1:1/v1"}}
        refused = await asking.patch(f"{PATH}/connections/far", json=near)
        assert (refused.status_code, refused.json()["code"]) == (403, "address_refused")
        [kept] = (await asking.get(f"{PATH}/connections")).json()["items"]
        assert kept["config"] == far["config"]
        recoloured = await asking.patch(f"{PATH}/connections/far", json={"config": {"region": "eu"}})
        assert recoloured.status_code == 200


async def test_an_operators_own_connection_may_lead_into_private_networks_but_not_where_nothing_may_go(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as (asking, _, _), serving() as model:
        near = {"kind": "openai", "name": "near", "config": {"base_url": f"{model.url}/v1"}}
        assert (await asking.post("/api/v1/connections", json=near)).status_code == 201
        assert (await asking.post("/api/v1/connections/near/test")).json()["ok"]
        metadata = {"kind": "openai", "name": "odd", "config": {"base_url": "http://169.254.169.254/v1"}}
        refused = await asking.post("/api/v1/connections", json=metadata)
        assert refused.json()["code"] == "address_refused"
        assert "freehold destination" not in refused.json()["remedy"]
