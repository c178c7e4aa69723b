"""The ways in which orders fail, and the hour in which they do: what the source says, and how the board fares."""

from enum import StrEnum

from connectors.simulator.faults import Kind, Rule
from schemas.base import Cell

# The API's minute in seconds, its hour, and what shrinks along with it from the defaults of streams/settings.py.
MINUTE = 3.0
HOUR = 60 * MINUTE
SCALED = {"poll_every": 10 * MINUTE / 60, "retry_first": 60 * MINUTE / 60, "verify_every": 60 * MINUTE / 60}

# Rows that are refused as they are, by the column that is at fault.
CELLS: dict[str, tuple[str, Cell]] = {
    "not-a-number": ("FREIGHT", "FOB AIR 2.50 SEA"),
    "number-too-large": ("DDP US (USD)", "123456789012345.00"),
    "negative-size": ("M", -3),
    "text-too-long": ("NOTES", "Too long for the board. " * 100),
    "unknown-label": ("UNIT OF MEASURE", "BUSHEL"),
    "no-style": ("CUSTOMER STYLE", None),
}
NO_IDENTITY, SHARED_IDENTITY = "no-identity", "shared-identity"
AT_THE_SOURCE = (*CELLS, NO_IDENTITY, SHARED_IDENTITY)
# What the API refuses for good, by its code.
REFUSED = {"column-value": "ColumnValueException", "record-invalid": "RecordInvalidException"}
# What passes by itself. Only an order that the API kept silent about fails, and is retried; the others wait.
PASSING = {
    "silence": (Kind.NULL_ALIAS,),
    "server-error": (Kind.ERROR_500_BEFORE, Kind.ERROR_500_AFTER),
    "throttled": (Kind.THROTTLE_429, Kind.THROTTLE_200),
    "busy": (Kind.CONFLICT_409, Kind.LOCKED_423),
    "lost-answer": (Kind.LOST_RESPONSE,),
}


class Weather(StrEnum):
    """How the API is at the moment."""

    USUAL = "usual"
    ERRORS = "errors"
    SILENCE = "silence"


# A quarter of an hour, in seconds: new orders come in its first third. A create that nobody answers for is looked for
# during 22 s (streams/sync/lookup.py) that are not scaled, so the storms strike when there are only edits.
CYCLE = 15 * MINUTE
_STORMS = {Weather.ERRORS: (0.5, 0.58), Weather.SILENCE: (0.7, 0.73)}
_USUAL = (
    *(Rule(kind=Kind.PARTIAL_ALIASES, rate=0.01, aliases=(0,), code=code) for code in REFUSED.values()),
    Rule(kind=Kind.THROTTLE_429, rate=0.03),
    Rule(kind=Kind.THROTTLE_200, rate=0.03),
    Rule(kind=Kind.CONFLICT_409, rate=0.02),
    Rule(kind=Kind.LOCKED_423, rate=0.02),
    Rule(kind=Kind.LOST_RESPONSE, rate=0.03),
)
RULES: dict[Weather, tuple[Rule, ...]] = {
    Weather.USUAL: _USUAL,
    Weather.ERRORS: (Rule(kind=Kind.ERROR_500_BEFORE, rate=0.5), Rule(kind=Kind.ERROR_500_AFTER, rate=0.3)),
    Weather.SILENCE: (Rule(kind=Kind.NULL_ALIAS, rate=1.0, share=1.0, executed=False),),
}


def weather(elapsed: float) -> Weather:
    """So many seconds after the hour began."""
    at = elapsed % CYCLE / CYCLE
    return next((one for one, (start, end) in _STORMS.items() if start <= at < end), Weather.USUAL)


def orders_come(elapsed: float) -> bool:
    """Whether new orders come then, and mended ones."""
    return elapsed % CYCLE < CYCLE / 3
