"""OpenAI's client for Python: chat completions."""

import base64
import json

import openai
from checks import BASE, KEY, MODEL, USUAL, check, equal, main, raises
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=20)
waiting = openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=20)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
ARGUMENTS = {"city": "Paris", "days": 7}


def said(text: str = "Hello") -> list:
    return [{"role": "user", "content": text}]


@check
def says_it_whole() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said())
    equal(reply.choices[0].message.content, USUAL)
    equal(reply.choices[0].finish_reason, "stop")
    equal(reply.usage.completion_tokens, 5)


@check
def says_it_in_pieces() -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=said(), stream=True))
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks), USUAL)
    equal([chunk.usage for chunk in chunks if chunk.usage], [])
    equal(all(chunk.choices for chunk in chunks), True)


@check
def tells_usage_of_a_stream_to_who_asks() -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=said(), stream=True, stream_options={"include_usage": True}
        )
    )
    equal(chunks[-1].choices, [])
    equal(chunks[-1].usage.completion_tokens, 5)


@check
def calls_a_tool() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said("[[call=weather]]"), tools=[WEATHER])
    equal(reply.choices[0].finish_reason, "tool_calls")
    equal(json.loads(reply.choices[0].message.tool_calls[0].function.arguments), ARGUMENTS)


@check
def takes_the_result_of_a_tool() -> None:
    first = client.chat.completions.create(model=MODEL, messages=said("[[call=weather]]"), tools=[WEATHER])
    call = first.choices[0].message
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "sunny"}
    reply = client.chat.completions.create(
        model=MODEL, messages=[*said("[[call=weather]]"), call.model_dump(exclude_none=True), result], tools=[WEATHER]
    )
    equal(reply.choices[0].message.content, USUAL)


@check
def streams_parallel_tool_calls() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=said("[[call=weather,weather]]"), tools=[WEATHER]
    ) as stream:
        for _ in stream:
            pass
        reply = stream.get_final_completion()
    calls = reply.choices[0].message.tool_calls
    equal([call.function.name for call in calls], ["weather", "weather"])
    equal([json.loads(call.function.arguments) for call in calls], [ARGUMENTS, ARGUMENTS])


@check
def sees_a_picture() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG" + bytes(5000)).decode()
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=20)
    equal(reply.choices[0].message.content, USUAL)


class City(BaseModel):
    name: str
    people: int


@check
def keeps_to_a_schema() -> None:
    reply = client.chat.completions.parse(model=MODEL, messages=said(), response_format=City)
    equal(reply.choices[0].message.parsed, City(name="Paris", people=7))


@check
def gives_two_answers() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said(), n=2)
    equal([choice.message.content for choice in reply.choices], [USUAL, USUAL])
    equal(reply.usage.completion_tokens, 10)


@check
def streams_two_answers() -> None:
    texts = ["", ""]
    for chunk in client.chat.completions.create(model=MODEL, messages=said(), n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    equal(texts, [USUAL, USUAL])


@check
def gives_probabilities() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said(), logprobs=True)
    equal([one.logprob for one in reply.choices[0].logprobs.content], [-0.25] * 5)


@check
def keeps_to_the_most_tokens() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said("[[words=50]]"), max_completion_tokens=3)
    equal(reply.choices[0].finish_reason, "length")
    equal(reply.usage.completion_tokens, 3)


@check
def shows_the_raw_answer() -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=said())
    equal(raw.status_code, 200)
    equal(raw.parse().choices[0].message.content, USUAL)
    equal(raw.headers["content-type"].partition(";")[0], "application/json")


@check
def takes_fields_it_does_not_know() -> None:
    reply = client.chat.completions.create(model=MODEL, messages=said(), extra_body={"top_k": 3, "x_new": {"a": [1]}})
    equal(reply.choices[0].message.content, USUAL)


@check
async def waits_without_blocking() -> None:
    reply = await waiting.chat.completions.create(model=MODEL, messages=said())
    equal(reply.choices[0].message.content, USUAL)
    await waiting.close()


@check
def may_leave_in_the_middle() -> None:
    stream = client.chat.completions.create(model=MODEL, messages=said("[[words=500 slow=0.002]]"), stream=True)
    for number, _ in enumerate(stream):
        if number == 5:
            break
    stream.close()
    equal(client.chat.completions.create(model=MODEL, messages=said()).choices[0].message.content, USUAL)


@check
def raises_what_the_provider_says() -> None:
    kinds = {
        400: openai.BadRequestError,
        413: openai.APIStatusError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
    }
    for status, kind in kinds.items():
        for stream in (False, True):
            error = raises(
                kind,
                lambda: client.chat.completions.create(
                    model=MODEL, messages=said(f"[[status={status}]]"), stream=stream
                ),
            )
            equal(bool(error.message), True)


@check
def raises_what_the_provider_broke() -> None:
    for status in (500, 503, 529):
        error = raises(
            openai.InternalServerError,
            lambda: client.chat.completions.create(model=MODEL, messages=said(f"[[status={status}]]")),
        )
        equal(error.status_code >= 500, True)


@check
def raises_when_a_stream_breaks_off() -> None:
    def read() -> None:
        for _ in client.chat.completions.create(
            model=MODEL, messages=said("[[words=9 error=4 slow=0.05]]"), stream=True
        ):
            pass

    raises(openai.APIError, read)


@check
def refuses_who_has_no_key() -> None:
    stranger = openai.OpenAI(base_url=f"{BASE}/v1", api_key="bad", max_retries=0)
    raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=MODEL, messages=said()))


main()
