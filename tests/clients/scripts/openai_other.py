"""OpenAI's client for Python: responses, embeddings, sound, pictures, models."""

import io
import json

import openai
from checks import BASE, KEY, MODEL, USUAL, check, equal, main, raises
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=20)
WEATHER = {
    "type": "function",
    "name": "weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@check
def responds() -> None:
    reply = client.responses.create(model=MODEL, input="Hello", instructions="Be kind.")
    equal(reply.output_text, USUAL)
    equal(reply.usage.output_tokens, 5)


@check
def responds_in_pieces() -> None:
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True))
    equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), USUAL)
    equal(events[-1].type, "response.completed")
    equal(events[-1].response.usage.output_tokens, 5)


@check
def responds_with_a_call() -> None:
    reply = client.responses.create(model=MODEL, input="[[call=weather]]", tools=[WEATHER])
    equal([(item.type, item.name) for item in reply.output], [("function_call", "weather")])
    equal(json.loads(reply.output[0].arguments), {"city": "Paris"})


@check
def streams_calls() -> None:
    with client.responses.stream(model=MODEL, input="[[call=weather,weather]]", tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        reply = stream.get_final_response()
    equal([json.loads(item.arguments) for item in reply.output], [{"city": "Paris"}] * 2)


class City(BaseModel):
    name: str


@check
def responds_by_a_schema() -> None:
    equal(client.responses.parse(model=MODEL, input="Hello", text_format=City).output_parsed, City(name="Paris"))


@check
def embeds() -> None:
    reply = client.embeddings.create(model=MODEL, input=["one", "two", "one"])
    equal([len(one.embedding) for one in reply.data], [8, 8, 8])
    equal(reply.data[0].embedding, reply.data[2].embedding)
    floats = client.embeddings.create(model=MODEL, input="one", encoding_format="float")
    equal(floats.data[0].embedding, reply.data[0].embedding)


@check
def transcribes() -> None:
    sound = io.BytesIO(bytes(range(256)) * 200)
    sound.name = "hello.wav"
    reply = client.audio.transcriptions.create(model=MODEL, file=sound)
    equal(reply.text, USUAL)


@check
def speaks() -> None:
    sound = client.audio.speech.create(model=MODEL, voice="alloy", input="Hello").read()
    equal((len(sound), sound[:3]), (500, b"ID3"))


@check
def speaks_in_pieces() -> None:
    with client.audio.speech.with_streaming_response.create(model=MODEL, voice="alloy", input="Hello") as reply:
        equal(sum(len(piece) for piece in reply.iter_bytes()), 500)


@check
def paints() -> None:
    reply = client.images.generate(model=MODEL, prompt="A house", n=2)
    equal([bool(one.b64_json) for one in reply.data], [True, True])


@check
def lists_models() -> None:
    equal(MODEL in [model.id for model in client.models.list()], True)


@check
def raises_what_the_provider_says() -> None:
    raises(openai.RateLimitError, lambda: client.responses.create(model=MODEL, input="[[status=429]]"))
    raises(openai.BadRequestError, lambda: client.embeddings.create(model=MODEL, input="[[status=400]]"))


main()
