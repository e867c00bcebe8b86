"""Which pages there are."""

from collections.abc import Callable, Mapping
from typing import Final

from tools.reference.commands import commands_page
from tools.reference.errors import errors_page
from tools.reference.markdown import ROOT
from tools.reference.routes import routes_page
from tools.reference.settings import settings_page
from tools.reference.states import states_page
from tools.reference.stores import stores_page

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "api.md": routes_page,
    "cli.md": commands_page,
    "settings.md": settings_page,
    "states.md": states_page,
    "errors.md": errors_page,
    "stores.md": stores_page,
}
