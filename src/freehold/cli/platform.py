"""Commands that start and look at the platform on this machine, and `freehold platform`, which asks a running one."""

import importlib
import json
import os
import sys
from typing import Annotated, Any, Final

import typer

from freehold.cli.calling import api
from freehold.cli.options import JsonOption, LimitOption
from freehold.cli.showing import bold, clean, colour, note, show, table

PAINT: Final = {"web": "blue", "worker": "green", "gateway": "yellow", "up": "dim"}


app = typer.Typer()


@app.callback()
def _of_platform() -> None:
    pass  # without it a single command would take the place of the noun


@app.command("queue")
def show_queue(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show how many runs queue, run and wait, in which tenants and since when, and who works."""
    told = api().get("platform/queue", limit=min(limit, 500))
    if as_json:
        show(told, as_json=True)
        return
    queued = f"{told['queued']} queued (the oldest for {told['oldest_seconds']:g} s)"
    print(f"{queued}, {told['running']} running, {told['waiting']} waiting, {told['paused']} paused")
    for worker in told["workers"]:
        gone = "" if worker["alive"] else colour(" - gone: its lease is over", "red")
        print(f"worker {worker['id']}, last sign {worker['lease_age_seconds']:g} s ago{gone}")
    if not told["workers"]:
        print(colour("no worker looks after them", "red"))
    repeats = ", ".join(f"{count} of {kind}s" for kind, count in told["duplicates"].items())
    print(f"repeats that did nothing since web began: {repeats}")
    table(told["tenants"], "slug", "queued", "running", "waiting", "paused", "oldest_seconds", as_json=False)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("doctor")(doctor)
    app.command("gateway", rich_help_panel="Single processes")(gateway)
    for name in ("web", "worker"):
        app.command(name, help=f"Run the {name} process alone.", rich_help_panel="Single processes")(_process(name))


def up(as_json: JsonOption = False) -> None:
    """Start the platform, and keep it running until Ctrl-C."""
    from freehold.app import up as platform  # noqa: PLC0415 - noun commands need none of this
    from freehold.settings import Settings  # noqa: PLC0415

    settings = Settings.read()
    if not as_json:
        note(f"Starting gateway, worker and web over {settings.data} …")
    platform.up(settings, announce=_announce_json if as_json else _announce, say=_say)


def demo(as_json: JsonOption = False) -> None:
    """Show everything once, on a platform of its own that is gone afterwards."""
    from freehold.cli import demo as story  # noqa: PLC0415

    ok = story.demo(as_json=as_json)
    raise typer.Exit(0 if ok else 1)


def doctor(as_json: JsonOption = False) -> None:
    """Look at this machine and say what is missing or wrong, and what to do about it."""
    from freehold.app.doctor import examine  # noqa: PLC0415
    from freehold.settings import Settings  # noqa: PLC0415

    findings = examine(Settings.read())
    if as_json:
        print(json.dumps([finding.shown() for finding in findings], ensure_ascii=False))
    for finding in findings if not as_json else ():
        mark = colour("ok  ", "green") if finding.ok else colour("BAD ", "red")
        print(f"{mark} {finding.name:<18} {finding.found}")
        if finding.remedy:
            print(f"     {' ' * 18} {'' if finding.ok else '-> '}{finding.remedy}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def gateway(
    packages: Annotated[
        bool, typer.Option("--packages", help="List what the running gateway has loaded of others, and why.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the gateway process alone."""
    if not packages:  # started anew: what the command line loads is not for that process
        os.execv(sys.executable, [sys.executable, "-m", "freehold", "gateway"])  # noqa: S606 - the words are ours
    from freehold.app.asking import loaded_packages  # noqa: PLC0415 - noun commands need none of this
    from freehold.settings import Settings  # noqa: PLC0415

    table(loaded_packages(Settings.read()), "name", "version", "direct", "reason", as_json=as_json)


def _process(name: str) -> Any:
    def run() -> None:
        from freehold.settings import Settings  # noqa: PLC0415

        importlib.import_module(f"freehold.app.{name}").main(Settings.read())

    return run


def _announce_json(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _announce(told: dict[str, Any]) -> None:
    print(f"{bold('Freehold', file=sys.stdout)} is up at {told['url']} over {told['data']}.")
    print(f"Sign in with the operator key in {told['key_file']}; on this machine `freehold` finds it by itself.")
    if "models_url" in told:
        print(f"Programs with a model key call models at {told['models_url']}.")
    if "claim_url" in told:
        print(f"Nobody has claimed it yet. Become its operator, once: {told['claim_url']}")
    print("Stop with Ctrl-C.", flush=True)


def _say(name: str, line: str) -> None:
    prefix = f"{name:<8}|"
    note(f"{colour(prefix, PAINT[name]) if sys.stderr.isatty() else prefix} {clean(line)}")
