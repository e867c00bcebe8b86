"""Clients that others wrote: what they can do with a provider, they can do through the gateway."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.testing.upstream.server import serving
from tests.calling import CHAT, CLAUDE, CREDENTIAL, Desk, apart, gateway_process

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NEW, LITELLM = ROOT / ".venv-clients/bin/python", ROOT / ".venv-clients-litellm/bin/python"
MISSING = "what others wrote is missing; `tools/environment clients` installs it"
SECONDS = 240
SCRIPTS = {
    "openai_chat.py": NEW,
    "openai_other.py": NEW,
    "anthropic_messages.py": NEW,
    "langchain_client.py": NEW,
    "pydantic_ai_client.py": NEW,
    "litellm_client.py": LITELLM,
    "openai_js.mjs": Path(shutil.which("node") or "node"),
    "curl.sh": Path("/bin/bash"),
}
HEAVY = {"pydantic_ai_client.py", "litellm_client.py"}
"""These take seconds to come up and ask as the others do: they are tried in the long tests."""

pytestmark = [
    pytest.mark.skipif(not (NEW.exists() and LITELLM.exists()), reason=MISSING),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.long] * (name in HEAVY)) for name in SCRIPTS])
def script(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name.endswith(".mjs") and not (HERE / "node_modules/openai").is_dir():
        pytest.skip(MISSING)
    if name == "curl.sh" and shutil.which("curl") is None:
        pytest.skip("curl is missing")
    return name


async def told(script: str, base: str, key: str, model: str, claude: str) -> dict[str, str]:
    """Run a script of checks against `base`, and return each check with its error."""
    stated = {"CHECK_BASE": base, "CHECK_KEY": key, "CHECK_MODEL": model, "CHECK_CLAUDE": claude}
    process = await asyncio.create_subprocess_exec(
        SCRIPTS[script],
        script,
        cwd=HERE / "scripts",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **stated},  # noqa: TID251
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    assert process.returncode == 0, err.decode()[-2000:]
    assert lines, err.decode()[-2000:]
    return {line["check"]: line["error"] for line in lines}


def failed(told: dict[str, str]) -> str:
    return "\n".join(f"{name}: {error}" for name, error in told.items() if error)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A gateway that all clients share, with the provider behind it."""
    async with apart(tmp_path_factory.mktemp("gateway"), keys=[CREDENTIAL]) as made, gateway_process(made):
        await made.prepare()
        await made.limit(10**12)
        yield made


@pytest.mark.long
async def test_a_client_can_talk_to_the_scripted_provider_itself(script: str) -> None:
    async with serving(keys=["sk-good"]) as upstream:
        assert failed(await told(script, upstream.url, "sk-good", "scripted", "scripted")) == ""


async def test_a_client_notices_no_gateway_in_between(desk: Desk, script: str) -> None:
    assert failed(await told(script, desk.url, desk.key, CHAT, CLAUDE)) == ""
    await desk.upstream.idle()
    rows = (await desk.settled())["rows"]
    assert sum(row["cost_nano"] for row in rows) >= desk.upstream.ledger.nano > 0
