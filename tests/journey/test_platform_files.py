"""Files that come with a message, from the sender to the agent's workspace."""

import base64

import httpx

from freehold.testing.platform import LocalPlatform
from tests.platforms import told


def test_a_file_that_comes_with_the_first_message_lies_in_the_workspace(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "filing")
    told(platform, "agent", "create", "ada", "-t", "filing", "-m", "rehearsal", "--tool", "shell=allow")
    content = base64.b64encode(b"hello from a file").decode()
    answer = httpx.post(
        f"{platform.url}/api/v1/tenants/filing/agents/ada/messages",
        headers={"Authorization": f"Bearer {platform.key}", "Prefer": "wait=60"},
        json={"text": "run: cat attachments/a.txt", "attachments": [{"name": "a.txt", "content": content}]},
        timeout=90,
    )
    assert answer.json()["reply"]["text"].endswith("hello from a file"), answer.text
