"""LiteLLM as a client."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checks import BASE, CLAUDE, KEY, MODEL, USUAL, check, equal, main

litellm.telemetry = False
litellm.suppress_debug_info = True
HOW = {"model": f"openai/{MODEL}", "api_base": f"{BASE}/v1", "api_key": KEY, "num_retries": 0}
SAID = [{"role": "user", "content": "Hello"}]


@check
def says_it_whole() -> None:
    equal(litellm.completion(messages=SAID, **HOW).choices[0].message.content, USUAL)


@check
def says_it_in_pieces() -> None:
    chunks = litellm.completion(messages=SAID, stream=True, **HOW)
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks), USUAL)


@check
def embeds() -> None:
    equal(len(litellm.embedding(input=["one"], **HOW).data), 1)


@check
def speaks_as_anthropic_does() -> None:
    how = {"model": f"anthropic/{CLAUDE}", "api_base": BASE, "api_key": KEY, "num_retries": 0, "max_tokens": 50}
    equal(litellm.completion(messages=SAID, **how).choices[0].message.content, USUAL)


@check
def raises_its_own_errors() -> None:
    try:
        litellm.completion(messages=[{"role": "user", "content": "[[status=429]]"}], **HOW)
    except litellm.RateLimitError:
        return
    raise AssertionError("no error")


main()
