"""The page of all settings."""

from freehold.settings import Settings
from tools.reference.markdown import SOURCE, attribute_docs, page, rows


def settings_page() -> str:
    """Return the page of all settings."""
    said = attribute_docs(SOURCE / "settings.py", "Settings")
    defaults = Settings()
    body = [
        (f"`FREEHOLD_{name.upper()}`", f"`{_default(getattr(defaults, name))}`", said.get(name, ""))
        for name in Settings.__struct_fields__
    ]
    outside = [
        ("`FREEHOLD_CONFIG`", "`freehold.toml`", "Which settings file to read."),
        ("`FREEHOLD_URL`", "this machine's platform", "Which platform the command line talks to."),
        ("`FREEHOLD_KEY`", "the operator key", "The API key the command line shows."),
    ]
    return page(
        "Settings",
        "Every setting is an environment variable, or a line in `freehold.toml` without the prefix and in lower case "
        '(`address = "127.0.0.1:8000"`). The environment wins. A name nobody knows is an error that suggests the '
        "nearest one.",
        rows(("Setting", "Default", "What it is"), body),
        "Three more tell the commands where to look:",
        rows(("Variable", "Default", "What it is"), outside),
    )


def _default(value: object) -> str:
    return "(empty)" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)
