"""What the upstream bills: a line for every request that was answered or begun, and exact sums."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, final

MILLION: Final = 1_000_000
COUNTED: Final = ("input", "cached", "written", "output", "images", "seconds", "characters")


class State(StrEnum):
    """What became of a request."""

    BEGUN = "begun"
    DONE = "done"
    CUT = "cut"
    """The upstream broke off, as it was told to."""
    LEFT = "left"
    """The asker went away."""
    REFUSED = "refused"
    STALLED = "stalled"
    """Nothing was generated, nothing is billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-USD for a million tokens, or for one image, second, character or request."""

    input: int = 1_000_000_000
    cached: int = 100_000_000
    written: int = 1_000_000_000
    output: int = 2_000_000_000
    image: int = 40_000_000
    second: int = 100_000
    character: int = 15_000
    request: int = 0

    def cost(self, entry: "Entry") -> int:
        """Return what an entry costs, rounded up."""
        plain = entry.input - entry.cached - entry.written
        tokens = plain * self.input + entry.cached * self.cached + entry.written * self.written
        tokens += entry.output * self.output
        other = entry.images * self.image + entry.seconds * self.second + entry.characters * self.character
        return -(-tokens // MILLION) + other + self.request

    @property
    def config(self) -> dict[str, Any]:
        """The same as a connection states it: USD for a million tokens, or for one of the others."""
        usd = 1_000_000_000
        names = ("input", "cached", "output", "image", "second", "character", "request")
        return {name: value / usd for name in names if (value := getattr(self, name))}


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request, as it is billed."""

    id: str
    api: str
    path: str
    model: str = ""
    key: str = ""
    """The credential that came with it."""
    stream: bool = False
    status: int = 200
    state: State = State.BEGUN
    input: int = 0
    """Tokens, those of the cache included."""
    cached: int = 0
    written: int = 0
    output: int = 0
    """Tokens, those of reasoning included."""
    images: int = 0
    seconds: int = 0
    characters: int = 0
    events: int = 0
    """Of a stream, that were sent."""
    nano: int = 0


@final
@dataclass
class Ledger:
    """Every request; sums are exact even where lines were forgotten."""

    price: Price = field(default_factory=Price)
    remember: int = 100_000
    entries: deque[Entry] = field(init=False)
    sums: Counter[str] = field(default_factory=Counter)
    """Tokens and money of what is over, and how many requests there were by state."""
    on_change: Callable[[], None] = lambda: None
    """Called whenever a line begins or ends."""
    made: int = 0
    """How many requests there ever were."""

    def __post_init__(self) -> None:
        """Forget the oldest lines beyond what is remembered."""
        self.entries = deque(maxlen=self.remember)

    def begin(self, api: str, path: str, key: str) -> Entry:
        """Write down that somebody asks."""
        self.made += 1
        entry = Entry(id=f"up_{self.made:08d}", api=api, path=path, key=key)
        self.entries.append(entry)
        self.sums["begun"] += 1
        self.on_change()
        return entry

    def close(self, entry: Entry, state: State) -> None:
        """Write down how it ended, once; what was refused or never begun to be answered costs nothing."""
        if entry.state is not State.BEGUN:
            return
        entry.state = state
        if state in (State.REFUSED, State.STALLED):
            for name in COUNTED:
                setattr(entry, name, 0)
        else:
            entry.nano = self.price.cost(entry)
        self.sums["begun"] -= 1
        self.sums[state] += 1
        self.sums["nano"] += entry.nano
        for name in COUNTED:
            self.sums[name] += getattr(entry, name)
        self.on_change()

    @property
    def nano(self) -> int:
        """What all that is over costs."""
        return self.sums["nano"]

    @property
    def last(self) -> Entry:
        """The newest line."""
        return self.entries[-1]

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self.sums["begun"] == 0

    def told(self, limit: int = 1000) -> dict[str, Any]:
        """Return the newest lines and all sums."""
        newest = list(self.entries)[-limit:]
        return {"entries": [asdict(entry) for entry in newest], "sums": dict(self.sums)}

    def clear(self) -> None:
        """Begin anew; what is under way is forgotten too."""
        self.entries.clear()
        self.sums.clear()
