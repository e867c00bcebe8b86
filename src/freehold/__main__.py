"""`python -m freehold` is the command line; the gateway is started without it, to hold as little as it can."""

import sys


def _gateway() -> None:
    from freehold.app.gateway import main as serve  # noqa: PLC0415 - each of the two loads only its own
    from freehold.core.errors import FreeholdError  # noqa: PLC0415
    from freehold.settings import Settings  # noqa: PLC0415

    try:
        serve(Settings.read())
    except FreeholdError as error:
        from freehold.cli.showing import complain  # noqa: PLC0415

        complain(error, as_json=False)
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:] == ["gateway"]:
        _gateway()
    else:
        from freehold.cli.main import main

        main()
