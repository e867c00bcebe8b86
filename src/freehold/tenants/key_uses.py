"""When keys were last used: remembered as they are, written down behind it, so that no request waits for a write."""

from datetime import datetime
from typing import final

from freehold.core.tenants import Key
from freehold.store.scope import Store


@final
class Uses:
    """Which keys were used since it was last written down."""

    def __init__(self) -> None:
        """Know of none."""
        self._seen: dict[str, datetime] = {}

    def __bool__(self) -> bool:
        """Return whether there is anything to write down."""
        return bool(self._seen)

    def saw(self, key: Key, at: datetime) -> None:
        """Remember that `key` was used, to the minute; in the same minute again there is nothing to remember."""
        minute = at.replace(second=0, microsecond=0)
        if key.last_used_at is None or key.last_used_at < minute:
            self._seen[key.id] = minute

    def write(self, store: Store) -> int:
        """Write down what was seen and return how many keys that was."""
        seen, self._seen = self._seen, {}
        if seen:
            with store.write() as platform:
                for key, at in seen.items():
                    platform.keys.used(key, at=at)
        return len(seen)
