"""
Statements of the hot path: spelt once for a database, and run by its driver's own cursor.

SQLAlchemy's own way costs more than the database takes to do it. What goes wrong is told as SQLAlchemy tells it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

from sqlalchemy import Connection, Insert, Select, exc
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import UpdateBase

from freehold.store.types import Json

T = TypeVar("T")
LATER: Final = "freehold_later"
_Into = Callable[[Any], Any]
_PLAIN: Final = frozenset({str, int, bytes, bool, type(None)})
"""What every driver takes as it is; only JSON looks different when it is kept."""


@dataclass(frozen=True, slots=True)
class _Spelt:
    """A statement as one kind of database takes it."""

    text: str
    order: tuple[tuple[str, _Into | None], ...]
    """Its values, and how each becomes what the driver takes."""
    positional: bool


@final
class Prepared:
    """A statement with all of its values open."""

    def __init__(self, statement: UpdateBase | Select[Any], names: Sequence[str] = ()) -> None:
        """Prepare `statement`; `names` are the columns it sets, as far as it does not say so itself."""
        self._statement: Final = statement
        self.adds: Final = isinstance(statement, Insert)
        self._names: Final = list(names)
        self._spelt: dict[str, _Spelt] = {}

    def run(self, tx: Connection, values: Mapping[str, Any]) -> int:
        """Do it with `values`, and return how many rows it touched."""
        finish(tx)
        return self._run(tx, values, lambda cursor: int(cursor.rowcount))

    def first(self, tx: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the first row it finds, as the driver gives it, or None; it sees nothing of what is done later."""
        found: Sequence[Any] | None = self._run(tx, values, lambda cursor: cursor.fetchone())
        return found

    def later(self, tx: Connection, values: Mapping[str, Any]) -> None:
        """
        Do it with `values` at the end of the transaction, together with all that is done later by the same statement.

        Whatever else is done in the transaction by a statement of SQLAlchemy's, or by `run`, sees it done. What is
        added goes before what changes something.
        """
        waiting: list[tuple[Prepared, Any]] = tx.info.setdefault(LATER, [])
        waiting.append((self, self._given(self._as_spelt(tx), values)))

    def run_many(self, tx: Connection, rows: Sequence[Any]) -> None:
        """Do it for each of `rows`, whose values are as the driver takes them."""
        text = self._as_spelt(tx).text
        _done(tx, text, lambda cursor: cursor.executemany(text, rows))

    def _as_spelt(self, tx: Connection) -> "_Spelt":
        spelt = self._spelt.get(tx.dialect.name)
        if spelt is None:
            spelt = self._spelt[tx.dialect.name] = self._spell(tx)
        return spelt

    def _given(self, spelt: "_Spelt", values: Mapping[str, Any]) -> Any:
        given: Any = [
            value if type(value := values[name]) in _PLAIN or into is None else into(value)
            for name, into in spelt.order
        ]
        if not spelt.positional:
            return {name: value for (name, _), value in zip(spelt.order, given, strict=True)}
        return given

    def _run(self, tx: Connection, values: Mapping[str, Any], told: Callable[[Any], T]) -> T:
        spelt = self._as_spelt(tx)
        given = self._given(spelt, values)
        return _done(tx, spelt.text, lambda cursor: told(cursor.execute(spelt.text, given) or cursor))

    def _spell(self, tx: Connection) -> _Spelt:
        compiled = self._statement.compile(dialect=tx.dialect, column_keys=self._names or None)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("Only a statement about rows can be prepared.")
        if any(isinstance(bind.type, Json) for bind in compiled.binds.values()):
            raise TypeError("Prepare statements without JSON: it needs spelling every time.")
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        processors = {
            name: bind.type.dialect_impl(tx.dialect).bind_processor(tx.dialect) for name, bind in compiled.binds.items()
        }
        order = tuple((name, processors[name]) for name in names or ())
        return _Spelt(compiled.string, order, positional=bool(compiled.positional))


def finish(tx: Connection) -> None:
    """Do what was to be done later."""
    waiting: list[tuple[Prepared, Any]] = tx.info.pop(LATER, [])
    together: dict[Prepared, list[Any]] = {}
    for prepared, given in waiting:
        together.setdefault(prepared, []).append(given)
    for prepared in sorted(together, key=lambda one: not one.adds):
        prepared.run_many(tx, together[prepared])


def waiting(tx: Connection) -> int:
    """Return how much is to be done later."""
    return len(tx.info.get(LATER, ()))


def forget(tx: Connection, since: int = 0) -> None:
    """Let all that is to be done later be, as far as it came after the first `since`."""
    del tx.info.setdefault(LATER, [])[since:]


def _done(tx: Connection, text: str, do: Callable[[Any], T]) -> T:
    cursor = tx.connection.cursor()
    try:
        return do(cursor)
    except Exception as error:
        dbapi = tx.dialect.loaded_dbapi.Error
        if not isinstance(error, dbapi):
            raise
        # The text of the values stays out of it: errors are logged.
        raise exc.DBAPIError.instance(text, None, error, dbapi, hide_parameters=True) from error
    finally:
        cursor.close()
