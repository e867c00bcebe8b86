"""
The tools `web_fetch` and `web_search`: effects that the gateway carries out, told to a model as a reader would be.

What comes back was written by strangers, and is labelled so.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, final

import msgspec
from typing_extensions import override

from freehold.agents.effects import read, schema, submit
from freehold.agents.ports import Gateway
from freehold.agents.reading_pages import readable, visible
from freehold.agents.sources import Call, Result, ToolSource, ToolSpec, failed
from freehold.core.agents import Version
from freehold.core.effects import SEARCH, WEB, WEB_FETCH, WEB_SEARCH
from freehold.core.parts import Origin
from freehold.runs.segment import Segment
from freehold.store.threads import in_thread

SHOWN: Final = 50_000
"""Characters of one page that a model is shown."""
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})


class Fetching(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, description="http:// or https://, with the path.")]


class Searching(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=2000, description="What to look for.")]
    count: Annotated[int, msgspec.Meta(ge=1, le=20, description="How many results.")] = 10
    since: Annotated[
        Literal["day", "week", "month", "year"] | None, msgspec.Meta(description="How new they must be.")
    ] = None


_TOOLS: Final[dict[str, tuple[type[Any], str, str, str]]] = {
    WEB_FETCH: (Fetching, WEB, "fetch", "Read a public page. You get its text, with links; files are not downloaded."),
    WEB_SEARCH: (
        Searching,
        SEARCH,
        "search",
        "Search the web. You get titles, addresses, snippets and, if known, dates.",
    ),
}


@final
class WebTools(ToolSource):
    """Reading and searching the web."""

    def __init__(self, gateway: Gateway) -> None:
        """Have the gateway do it."""
        self._gateway = gateway
        self._schemas = {name: schema(kind) for name, (kind, *_) in _TOOLS.items()}

    @override
    def tools(self, version: Version) -> Sequence[ToolSpec]:
        return [
            ToolSpec(
                name=name,
                description=description,
                parameters=self._schemas[name],
                verdict=version.spec.tools[name],
                origin=Origin.WEB,
            )
            for name, (_, _, _, description) in _TOOLS.items()
            if name in version.spec.tools
        ]

    @override
    async def call(self, segment: Segment, call: Call) -> Result:
        kind, connection, operation, _ = _TOOLS[call.name]
        try:
            arguments = msgspec.to_builtins(read(call.arguments, kind))
        except msgspec.ValidationError as error:
            return failed("bad_arguments", f"{call.name} cannot be called like this: {error}")
        _, result = await submit(
            self._gateway, segment, call, connection=connection, operation=operation, arguments=arguments
        )
        found = result.get("value")
        if call.name != WEB_FETCH or not isinstance(found, dict):
            return result
        return {"value": await in_thread(shown, found)}


def shown(page: dict[str, Any]) -> str:
    """Return a page as a model is shown it: where it was found, and what it says."""
    url, text = str(page.get("url", "")), str(page.get("text", ""))
    said = readable(text, base=url) if page.get("type") in _HTML else visible(text)
    status = page.get("status", 200)
    head = url if status == 200 else f"{url} (status {status})"  # noqa: PLR2004
    cut = len(said) > SHOWN or page.get("truncated")
    return f"{head}\n\n{said[:SHOWN] or '(no text)'}" + ("\n\n[the rest of the page is left out]" if cut else "")
