"""Pydantic AI, with OpenAI's and Anthropic's formats."""

from checks import BASE, CLAUDE, KEY, MODEL, USUAL, check, equal, main
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


def openai() -> OpenAIProvider:
    return OpenAIProvider(base_url=f"{BASE}/v1", api_key=KEY)


class City(BaseModel):
    name: str
    people: int


@check
async def says_it_whole() -> None:
    equal((await Agent(OpenAIChatModel(MODEL, provider=openai())).run("Hello")).output, USUAL)


@check
async def says_it_in_pieces() -> None:
    async with Agent(OpenAIChatModel(MODEL, provider=openai())).run_stream("Hello") as stream:
        equal(await stream.get_output(), USUAL)


@check
async def uses_a_tool() -> None:
    agent = Agent(OpenAIChatModel(MODEL, provider=openai()))
    told: list[str] = []

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tell the weather."""
        told.append(city)
        return "sunny"

    equal((await agent.run("[[call=weather]]")).output, USUAL)
    equal(told, ["Paris"])


@check
async def gives_back_a_type() -> None:
    agent = Agent(OpenAIChatModel(MODEL, provider=openai()), output_type=City)
    equal((await agent.run("Hello")).output, City(name="Paris", people=7))


@check
async def responds() -> None:
    equal((await Agent(OpenAIResponsesModel(MODEL, provider=openai())).run("Hello")).output, USUAL)


@check
async def speaks_as_anthropic_does() -> None:
    model = AnthropicModel(CLAUDE, provider=AnthropicProvider(base_url=BASE, api_key=KEY))
    equal((await Agent(model).run("Hello")).output, USUAL)


main()
