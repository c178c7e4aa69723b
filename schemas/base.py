"""The base of every model: frozen, and without undeclared fields."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

# One canonical cell of a source row: text, a whole number (bits are 0 or 1) or nothing.
# Decimals and dates travel as text of fixed form, so that no engine can round them.
Cell = str | int | None

# The value of a board column as the API's JSON: a string, an object such as {"label": "PCE"}, or null to clear.
ColumnValue = Any


class Origin(NamedTuple):
    """The position of an event in Kafka."""

    topic: str
    partition: int
    offset: int


class Model(BaseModel):
    """A value: it never changes, and an undeclared field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
