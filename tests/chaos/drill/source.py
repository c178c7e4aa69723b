"""People who keep changing ORDERS_UNIFIED for an hour: edits, new orders, deletions, and rows that go bad."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from connectors.samples import dice
from schemas.base import Cell
from sql import identifiers
from streams.resources import Resources
from tests.chaos.drill import stand, ways

EVERY = 0.25
# Of each way so many rows go bad, and so many of them are mended before the hour is over.
PER_WAY, MENDED_OF_WAY = 2, 1
# A row that is mended was bad for at least so many seconds.
BAD_FOR = 30.0
# Orders that are edited again and again.
HOT = 60


@dataclass
class Bad:
    """A row that went bad. `key` is its record_uuid, or its order number where it has none or shares it."""

    way: str
    uuid: str
    key: str
    since: float
    mended: bool = False


@dataclass
class Source:
    """What is done is drawn by a seed; when, is told in seconds since the hour began."""

    parts: Resources
    rng: random.Random
    hot: list[str]
    rows: dict[str, stand.Row]
    sizes: tuple[str, ...]
    bad: list[Bad] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    counted: list[int] = field(default_factory=list)
    _plan: list[tuple[float, str, str]] = field(default_factory=list)
    _new: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, parts: Resources, *, orders: int, seed: int, hour: float) -> "Source":
        """For the sample orders of this seed, which are in the source already."""
        rng = random.Random(f"an hour of {seed}")
        rows = {str(row["record_uuid"]): row for row in stand.valid(parts, seed, orders=orders)}
        sizes = stand.size_columns(parts)
        sized = sorted(uuid for uuid, row in rows.items() if any(row[size] for size in sizes))
        chosen = rng.sample(sized, HOT + PER_WAY * len(ways.AT_THE_SOURCE))
        made = cls(parts, rng, chosen[:HOT], rows, sizes, counted=[parts.orders.source_rows()])
        kinds = list(ways.AT_THE_SOURCE) * PER_WAY
        made._plan = [
            (hour * 0.9 * at / len(kinds), way, uuid)
            for at, (way, uuid) in enumerate(zip(kinds, chosen[HOT:], strict=True))
        ]
        return made

    @contextmanager
    def changing(self) -> Iterator[threading.Event]:
        """The hour goes on meanwhile, in a thread. The event is set when that could not go on."""
        over, failure, began = threading.Event(), list[BaseException](), time.monotonic()

        def change() -> None:
            try:
                while not over.wait(EVERY):
                    self.change(time.monotonic() - began)
            except BaseException as error:  # Raised again below, where somebody hears it.
                failure.append(error)
                over.set()

        thread = threading.Thread(target=change, name="source")
        thread.start()
        try:
            yield over
        finally:
            over.set()
            thread.join()
        if failure:
            raise failure[0]

    def rows_while(self, look: Callable[[], object]) -> set[int]:
        """How many rows there may have been at any moment of this look."""
        with self._lock:
            first = len(self.counted) - 1
        look()
        with self._lock:
            return set(self.counted[first:])

    def change(self, elapsed: float) -> None:
        """The next one that is due then."""
        with self._lock:
            self._change(elapsed)
            self.counted.append(self.parts.orders.source_rows())

    def mend(self, one: Bad) -> None:
        """The row is as it was, or has an identity of its own."""
        if one.way == ways.NO_IDENTITY:
            self._set("record_uuid", one.uuid, "AAG ORDER NUMBER", one.key)
        elif one.way == ways.SHARED_IDENTITY:
            with self.parts.db.write() as session:
                session.execute("DELETE FROM ORDERS_UNIFIED WHERE [AAG ORDER NUMBER] = ?", (one.key,))
        else:
            column = ways.CELLS[one.way][0]
            self._set(column, self.rows[one.uuid][column], "record_uuid", one.key)
        one.mended = True

    def _change(self, elapsed: float) -> None:
        chance = self.rng.random()
        if self._plan and self._plan[0][0] <= elapsed:
            _, way, uuid = self._plan.pop(0)
            self._goes_bad(way, uuid, elapsed)
        elif not ways.orders_come(elapsed) or chance < 0.6:
            self._edit()
        elif mendable := self._mendable(elapsed):
            self.mend(mendable[0])
            self.done["mended"] += 1
        elif chance < 0.85 or not self._new:
            self._comes()
        else:
            stand.delete(self.parts, [self._new.pop(self.rng.randrange(len(self._new)))])
            self.done["deleted"] += 1

    def _goes_bad(self, way: str, uuid: str, elapsed: float) -> None:
        number = f"BAD-{len(self.bad)}"
        if way in (ways.NO_IDENTITY, ways.SHARED_IDENTITY):
            identity = None if way == ways.NO_IDENTITY else uuid
            stand.insert(self.parts, [{**self.rows[uuid], "record_uuid": identity, "AAG ORDER NUMBER": number}])
            key = number
        else:
            self._set(*ways.CELLS[way], "record_uuid", uuid)
            key = uuid
        own = self._uuid() if way == ways.NO_IDENTITY else uuid
        self.bad.append(Bad(way, own, key, elapsed))
        self.done["went bad"] += 1

    def _edit(self) -> None:
        """A size of an order that has some: one update on the board."""
        uuid = self.rng.choice(self.hot)
        label = self.rng.choice([size for size in self.sizes if self.rows[uuid][size]])
        self._set(label, self.rng.randrange(1, 900), "record_uuid", uuid)
        self.done["edited"] += 1

    def _comes(self) -> None:
        uuid = self._uuid()
        row = {**self.rows[self.rng.choice(self.hot)], "record_uuid": uuid, "AAG ORDER NUMBER": f"NEW-{uuid[:8]}"}
        stand.insert(self.parts, [row])
        self._new.append(uuid)
        self.done["came"] += 1

    def _mendable(self, elapsed: float) -> list[Bad]:
        mended = Counter(one.way for one in self.bad if one.mended)
        return [
            one
            for one in self.bad
            if not one.mended and mended[one.way] < MENDED_OF_WAY and elapsed - one.since > BAD_FOR
        ]

    def _uuid(self) -> str:
        return dice.Dice(self.rng.getrandbits(64)).uuid()

    def _set(self, column: str, value: Cell, key: str, wanted: str) -> None:
        statement = f"UPDATE ORDERS_UNIFIED SET {identifiers.quote(column)} = ? WHERE {identifiers.quote(key)} = ?"
        with self.parts.db.write() as session:
            session.execute(statement, (value, wanted))
