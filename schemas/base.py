"""What every model shares: frozen, and strict about fields nobody declared."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

# One canonical cell of a source row: text, a whole number (bits are 0 or 1) or nothing.
# Decimals and dates travel as text of fixed form, so that no engine can round them.
Cell = str | int | None

# What a board column is told, as the API's JSON: a string, an object such as {"label": "PCE"}, or null to clear.
ColumnValue = Any


class Origin(NamedTuple):
    """Where in Kafka something lies."""

    topic: str
    partition: int
    offset: int


class Model(BaseModel):
    """A value: never changed after it was made, never with a field nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")
