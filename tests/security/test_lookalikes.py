"""Addresses that only look like somebody's: whoever has one at the provider is not whom it looks like."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.core.people import PlatformRole
from tests.crowd import person
from tests.sign_on import Scene, refused, staged


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("\uff41da@example.com", "ada@example.com"),
        ("stra\u00dfe@example.com", "strasse@example.com"),
        ("\u212aim@example.com", "kim@example.com"),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("ada@\uff45xample.com", "ada@example.com"),
    ],
)
@pytest.mark.parametrize("groups", [[], ["admins"]])
async def test_a_lookalike_at_the_provider_signs_in_as_nobody_else(
    scene: Scene, theirs: str, ours: str, groups: list[str]
) -> None:
    known = person(scene.web, ours, platform_role=PlatformRole.OPERATOR)
    scene.provider.person |= {"email": theirs}
    scene.provider.groups = groups
    refused(await scene.come())
    with scene.web.state.store.read() as platform:
        assert platform.sessions.of(known.id) == []
        assert len(platform.people.page()) == 1


@pytest.mark.parametrize("theirs", ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"])
async def test_capitals_do_not_matter(scene: Scene, theirs: str) -> None:
    known = person(scene.web, "ada@example.com")
    scene.provider.person |= {"email": theirs}
    assert (await scene.come()).status_code == 303
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(known.id)) == 1


async def test_an_address_in_its_own_script_is_its_own(scene: Scene) -> None:
    known = person(scene.web, "j\u00f6rg@xn--bcher-kva.example")
    scene.provider.person |= {"email": "J\u00f6rg@b\u00fccher.example"}
    assert (await scene.come()).status_code == 303
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(known.id)) == 1
