"""A schedule of the whole flow: what people do to the orders, and what goes wrong meanwhile. Made from the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.simulator.faults import Kind, Rule
from schemas.base import Cell
from tests.support.board_script import board_rules

CUSTOMERS = ("GREYSON CLOTHIERS", "AJE", "ASRV", "AIME LEON DORE")
SEASONS = ("2026 SPRING", "2026 FALL", None)
SIZES = ("XS", "S", "M", "L", "XL", "32/30", "ONE SIZE")
# The narrow source table of most schedules has these, and what the mapping reads.
COLUMNS = ("record_uuid", *SIZES)
POINTS = (
    "hash", "produce", "snapshot", "stage-commit", "emit", "intent", "send", "response", "close", "finish",
    "result-emit", "promote-commit", "record", "ack", "before produce", "before emit", "before result-emit",
)  # fmt: skip
OF_POLLER = ("hash", "produce", "snapshot", "before produce")
# An effect of any kind: a transaction that begins, one that is about to commit, and every point above.
ANY = ("any of poller", "any of worker")
BAD_PRICE = "FOB AIR 2.50 SEA"

Row = dict[str, Cell]


@dataclass(frozen=True)
class Edit:
    """What a row is from then on, so many seconds after its round began; None: it leaves the source."""

    uuid: str
    row: Row | None
    after: float = 0.0


@dataclass(frozen=True)
class Round:
    """Some edits, a pass, and a pause."""

    edits: tuple[Edit, ...]
    pause: float


@dataclass(frozen=True)
class Strike:
    """At the n-th passage of `point`, by whichever life: it dies (and starts again after `seconds`), freezes for
    `seconds`, or, a worker, is told to stop in order.
    """

    point: str
    nth: int
    act: str
    seconds: float


@dataclass(frozen=True)
class Outage:
    """The broker is away from `at` for `seconds`. `wiped`: it comes back without any data."""

    at: float
    seconds: float
    wiped: bool = False


@dataclass(frozen=True)
class Joining:
    """One more worker, from `at` on, for `seconds`."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """One story. `failing_sends`: the n-th call of a producer stores this share of its events, and fails."""

    seed: int
    rounds: tuple[Round, ...]
    workers: int
    strikes: tuple[Strike, ...]
    outages: tuple[Outage, ...]
    joining: tuple[Joining, ...]
    failing_sends: dict[int, float]
    rules: tuple[Rule, ...]
    lookup_lag: float
    complexity: int
    batch_size: int
    window_minutes: float
    interleaved: float
    wide: bool

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.workers} workers, board lags {self.lookup_lag} s and gives {self.complexity}"
            f" points, batches of {self.batch_size}, window of {self.window_minutes} min,"
            f" {self.interleaved:.0%} interleaved" + (", the whole table" if self.wide else "")
        ]
        lines += [f"  {rule.kind} {rule.model_dump(exclude={'kind'}, exclude_defaults=True)}" for rule in self.rules]
        lines += [f"  {one}" for one in (*self.strikes, *self.outages, *self.joining)]
        lines += [f"  send {n} stores {share:.0%} and fails" for n, share in sorted(self.failing_sends.items())]
        for number, one in enumerate(self.rounds, 1):
            lines.append(f"  round {number}, then {one.pause:.0f} s")
            lines += [f"    {edit.uuid[-2:]} after {edit.after:.2f} s: {_shown(edit.row)}" for edit in one.edits]
        return "\n".join(lines)


def _shown(row: Row | None) -> str:
    if row is None:
        return "leaves"
    sizes = {name: row[name] for name in SIZES if name in row}
    told = ("PATTERN ID", "CUSTOMER NAME", "CUSTOMER SEASON", "CUSTOMER PRICE")
    return f"{', '.join(str(row.get(name)) for name in told)}, {sizes}"


def uuid(number: int) -> str:
    """The identity of an order."""
    return f"00000000-0000-4000-8000-0000000000{number:02d}"


def schedule(seed: int) -> Schedule:
    """The story of a seed."""
    rng = random.Random(f"flow {seed}")
    rounds = tuple(_rounds(rng))
    wiped = rng.random() < 0.08
    frozen = rng.random() < 0.2
    batch_size = rng.choice((1, 3, 5, 25))
    rules = board_rules(rng, forgetful=not frozen, batch_size=batch_size) if rng.random() < 0.6 else ()
    if rng.random() < 0.08:
        # For so long nobody says what became of anything: orders fail, and are tried again.
        start = rng.randint(1, 8)
        rules += (Rule(kind=Kind.NULL_ALIAS, at=tuple(range(start, start + 8)), executed=False, share=1.0),)
    forgetful = any(rule.kind is Kind.DROP_IDEMPOTENCY for rule in rules)
    strikes = list(_strikes(rng))
    if frozen and not forgetful:
        point = rng.choice([point for point in (*POINTS, *ANY) if point != "intent"])
        strikes.append(Strike(point, rng.randint(1, 8), "freeze", rng.choice((3.0, 15.0, 40.0))))
    return Schedule(
        seed=seed,
        rounds=rounds,
        workers=rng.choice((1, 2, 2, 3)),
        strikes=tuple(strikes),
        outages=tuple(_outages(rng, wiped=wiped)),
        joining=(Joining(rng.uniform(1, 60), rng.uniform(5, 60)),) if rng.random() < 0.2 else (),
        failing_sends={
            rng.randint(1, 25): rng.choice((0.0, 0.5, 1.0, 1.0)) for _ in range(rng.choice((0, 0, 0, 1, 2)))
        },
        rules=rules,
        lookup_lag=rng.choice((0.0, 0.0, 1.0, 10.0, 18.0)),
        complexity=rng.choice((10_000_000, 10_000_000, 1_000_000)),
        batch_size=batch_size,
        window_minutes=rng.choice((10.0, 10.0, 10.0, 10.0, 0.05)),
        interleaved=rng.choice((0.0, 0.1, 0.1, 0.5)),
        wide=rng.random() < 0.03,
    )


def _rounds(rng: random.Random) -> Iterator[Round]:
    orders = [_Order(number, rng) for number in range(1, rng.randint(2, 6) + 1)]
    count = rng.choice((3, 3, 3, 4, 4, 5, 7))
    for at in range(count):
        edits = []
        for order in orders:
            if at == 0 or rng.random() < 0.45:
                edits.append(Edit(order.uuid, order.edit(), rng.choice((0.0, 0.0, 0.0, rng.uniform(0.0, 0.3)))))
                if rng.random() < 0.15:
                    edits.append(Edit(order.uuid, order.edit(), edits[-1].after + rng.uniform(0.01, 1.0)))
        yield Round(tuple(edits), rng.choice((0.2, 1.0, 3.0, 10.0, 20.0)))


class _Order:
    """An order while its life is made up. Each edit writes its number into PATTERN ID and into the quantities."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number, self.uuid = number, uuid(number)
        self._rng = rng
        self._edits = 0
        self._row: Row | None = None
        self._before: list[Row] = []
        self._customer = rng.choice(CUSTOMERS)

    def edit(self) -> Row | None:
        rng = self._rng
        if self._row is not None:
            self._before.append(self._row)
        luck = rng.random()
        if self._row is not None and luck < 0.12:
            self._row = None
        elif self._before and luck < 0.27:
            # Back to what it was before: the very same row.
            self._row = dict(rng.choice(self._before))
        else:
            self._row = self._new()
        return self._row

    def _new(self) -> Row:
        rng = self._rng
        self._edits += 1
        if rng.random() < 0.04:
            self._customer = rng.choice(CUSTOMERS)
        sizes = {size: 100 * self._edits + rng.randrange(1, 99) for size in rng.sample(SIZES, rng.randint(0, 3))}
        row: Row = {
            "record_uuid": self.uuid,
            "AAG ORDER NUMBER": f"JOO-{self.number:05}",
            "CUSTOMER NAME": self._customer,
            "CUSTOMER SEASON": rng.choice(SEASONS),
            "CUSTOMER STYLE": f"STYLE-{self.number}",
            "CUSTOMER COLOUR DESCRIPTION": rng.choice(("NAVY", "NAVY", "WHITE")),
            "PO NUMBER": "4755",
            "CUSTOMER ALT PO": rng.choice((None, "ALT")),
            "PATTERN ID": f"v{self._edits}",
            "UNIT OF MEASURE": rng.choice(("PCE", "SET")),
            "CUSTOMER PRICE": BAD_PRICE if rng.random() < 0.06 else "12.5000",
            "TOTAL QTY": sum(sizes.values()),
            **sizes,
        }
        if rng.random() < 0.04:
            # No order at all: excluded.
            row = {
                "record_uuid": self.uuid,
                "CUSTOMER NAME": self._customer,
                "PATTERN ID": f"v{self._edits}",
                "TOTAL QTY": 0,
            }
        return row


def _strikes(rng: random.Random) -> Iterator[Strike]:
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4))):
        point = rng.choice((*POINTS, *OF_POLLER, *ANY, *ANY))
        most = {"any of poller": 60, "any of worker": 200, "ack": 30}.get(point, 8)
        act = "stop" if point not in OF_POLLER and "poller" not in point and rng.random() < 0.15 else "kill"
        yield Strike(point, rng.randint(1, most), act, rng.choice((0.0, 0.5, 3.0, 15.0, 40.0)))


def _outages(rng: random.Random, *, wiped: bool) -> Iterator[Outage]:
    if wiped or rng.random() < 0.25:
        yield Outage(rng.uniform(0.5, 50.0), rng.choice((5.0, 45.0, 100.0)), wiped)
