"""`freehold sandbox`."""

import json
from typing import Annotated, Any

import typer

from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import clean, colour

app = typer.Typer()


@app.callback()
def _sandboxes() -> None:
    """Keep `prove` a command of its own while it is the only one."""


@app.command("prove")
def prove_sandbox(
    tenant: TenantOption,
    agent: Annotated[str | None, typer.Option(help="Only this agent's sandbox.")] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Look also at what this host's packages installed; takes minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look into sandboxes from inside, and show that no secret is there and nothing can be reached."""
    from freehold.app.proving import prove  # noqa: PLC0415 - noun commands need none of this
    from freehold.settings import Settings  # noqa: PLC0415

    found = prove(Settings.read(), tenant, agent=agent, whole=whole)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for sight in found["sandboxes"]:
            _show(sight)
        _conclude(found)
    raise typer.Exit(0 if found["ok"] else 1)


def _show(sight: dict[str, Any]) -> None:
    files = [one for one in sight["files"] if one["type"] == "file"]
    closed = sum(one["type"] == "closed" for one in sight["files"])
    print(f"{sight['agent']} ({sight['sandbox']})")
    print(f"  environment  {', '.join(sorted(sight['environment']))}")
    print(f"  files        {len(files)} read, {sum(one['size'] for one in files)} bytes; {closed} closed")
    for process in sight["processes"]:
        whose = "the one that looks" if process["me"] else clean(" ".join(process["cmdline"]))[:60]
        memory = f"{process['memory_bytes']} bytes of memory" if process["memory_read"] else "memory closed"
        print(f"  process {process['pid']:<4} {whose}; {len(process['fds'])} descriptors; {memory}")
    print(f"  interfaces   {', '.join(sight['interfaces'])}")
    for way in sight["ways"]:
        if way["reached"] or way["what"] == "models":
            print(f"  way out      {clean(way['what'])}: {clean(way['said'])}")
    print(f"  closed       {sum(not way['reached'] for way in sight['ways'])} of {len(sight['ways'])} ways tried")
    for fault in sight["faults"]:
        print(colour(f"  BAD          {clean(fault)}", "red"))


def _conclude(found: dict[str, Any]) -> None:
    secrets = found["secrets"]
    for one in secrets["found"]:
        said = f"the secret {one['owner']}/{one['name']} ({one['spelling']}) in {one['where']}"
        print(colour(f"BAD {clean(said)}", "red"))
    if secrets["too_short"]:
        print(f"Too short to tell from other words: {', '.join(secrets['too_short'])}")
    print(f"{secrets['looked_for']} secrets were looked for in {secrets['bytes']} bytes, in every spelling.")
    verdict = (
        colour("Nothing is there that should not be.", "green")
        if found["ok"]
        else colour("NOT as it should be.", "red")
    )
    print(verdict)
