"""Whether a database stands at the newest revision, told without loading what migrates it."""

import re
from pathlib import Path
from typing import Final

from sqlalchemy import exc, text

from freehold.store.db import Database

_FILE: Final = re.compile(r"r(\d+)_\w+\.py")
_STANDS: Final = text("SELECT version_num FROM alembic_version")


def stands_at_newest(database: Database, folder: Path) -> bool:
    """Return whether `database` needs nothing of the revisions in `folder`."""
    revisions = [found[1] for file in folder.iterdir() if (found := _FILE.fullmatch(file.name))]
    try:
        with database.read() as connection:
            stands = connection.execute(_STANDS).scalar()
    except exc.OperationalError:  # a new one has not even the table that says it
        return False
    return stands == max(revisions)
