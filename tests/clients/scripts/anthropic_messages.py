"""Anthropic's client for Python."""

import anthropic
from checks import BASE, CLAUDE, KEY, USUAL, check, equal, main, raises

client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=20)
WEATHER = {
    "name": "weather",
    "description": "Weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}


def asked(text: str = "Hello", **more: object) -> dict:
    return {"model": CLAUDE, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}


@check
def says_it_whole() -> None:
    reply = client.messages.create(**asked())
    equal(reply.content[0].text, USUAL)
    equal((reply.stop_reason, reply.usage.output_tokens), ("end_turn", 5))


@check
def says_it_in_pieces() -> None:
    with client.messages.stream(**asked()) as stream:
        equal("".join(stream.text_stream), USUAL)
        equal(stream.get_final_message().usage.output_tokens, 5)


@check
def calls_a_tool_and_takes_its_result() -> None:
    first = client.messages.create(**asked("[[call=weather]]", tools=[WEATHER]))
    call = first.content[0]
    equal((first.stop_reason, call.name, call.input), ("tool_use", "weather", {"city": "Paris", "days": 7}))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [
        {"role": "user", "content": "[[call=weather]]"},
        {"role": "assistant", "content": [one.model_dump() for one in first.content]},
        {"role": "user", "content": [result]},
    ]
    equal(client.messages.create(**asked(tools=[WEATHER]) | {"messages": turns}).content[0].text, USUAL)


@check
def streams_parallel_tool_calls() -> None:
    with client.messages.stream(**asked("[[call=weather,weather]]", tools=[WEATHER])) as stream:
        reply = stream.get_final_message()
    equal([call.input for call in reply.content], [{"city": "Paris", "days": 7}] * 2)


@check
def counts_tokens() -> None:
    told = client.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "12345678"}])
    equal(told.input_tokens, 2)


@check
def shows_its_thoughts() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(**asked(thinking=thinking) | {"max_tokens": 2000}) as stream:
        reply = stream.get_final_message()
    equal([block.type for block in reply.content], ["thinking", "text"])
    equal(bool(reply.content[0].signature), True)


@check
def reads_from_a_cache() -> None:
    system = [{"type": "text", "text": "Long. " * 100, "cache_control": {"type": "ephemeral"}}]
    reply = client.messages.create(**asked("[[tokens_in=500 cached=400]]", system=system))
    equal((reply.usage.input_tokens, reply.usage.cache_read_input_tokens), (100, 400))


@check
def raises_what_the_provider_says() -> None:
    kinds = {
        400: anthropic.BadRequestError,
        429: anthropic.RateLimitError,
    }
    for status, kind in kinds.items():
        raises(kind, lambda: client.messages.create(**asked(f"[[status={status}]]")))


@check
def raises_what_the_provider_broke() -> None:
    try:
        client.messages.create(**asked("[[status=500]]"))
    except anthropic.APIStatusError as error:
        equal(error.status_code >= 500, True)
        return
    raise AssertionError("no error")


@check
def refuses_who_has_no_key() -> None:
    stranger = anthropic.Anthropic(base_url=BASE, api_key="bad", max_retries=0)
    raises(anthropic.AuthenticationError, lambda: stranger.messages.create(**asked()))


@check
def raises_when_a_stream_breaks_off() -> None:
    def read() -> None:
        with client.messages.stream(**asked("[[words=9 error=5 slow=0.05]]")) as stream:
            stream.get_final_message()

    raises(anthropic.APIStatusError, read)


main()
