r"""
Rows read whatever bytes they hold.

SQLite takes any bytes for text, and a driver refuses to read those that are no UTF-8: one such row, put there by
somebody who owns the file, would keep every other from its place. Here the bytes that are no text are spelt out
(`\xff`), so that the row has a hash like any other and tells what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection


@contextmanager
def as_stored(tx: Connection) -> Iterator[None]:
    """Let text that is no text be read within the block; nothing else may use the connection meanwhile."""
    driver: Any = tx.connection.driver_connection
    if tx.dialect.name != "sqlite":  # the others take none
        yield
        return
    before, driver.text_factory = driver.text_factory, _spelt_out
    try:
        yield
    finally:
        driver.text_factory = before


def _spelt_out(stored: bytes) -> str:
    return stored.decode("utf-8", "backslashreplace")
