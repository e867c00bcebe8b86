"""LangChain's client for OpenAI."""

from checks import BASE, KEY, MODEL, USUAL, check, equal, main
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

model = ChatOpenAI(model=MODEL, base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=20)


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@check
def says_it_whole() -> None:
    reply = model.invoke("Hello")
    equal(reply.content, USUAL)
    equal(reply.usage_metadata["output_tokens"], 5)


@check
def says_it_in_pieces() -> None:
    equal("".join(str(chunk.content) for chunk in model.stream("Hello")), USUAL)


@check
def calls_a_tool() -> None:
    reply = model.bind_tools([weather]).invoke("[[call=weather]]")
    equal([(call["name"], call["args"]) for call in reply.tool_calls], [("weather", {"city": "Paris"})])


@check
def embeds() -> None:
    made = OpenAIEmbeddings(
        model=MODEL, base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, check_embedding_ctx_length=False
    )
    equal([len(vector) for vector in made.embed_documents(["one", "two"])], [8, 8])


main()
