"""Integer columns that hold numbers and that nothing reads: each may be a size that was added to the table.

SQL Server appends new columns at the end of a table, outside the range of sizes. So a person decides, in "sizes" of
board.yaml; until then `validate`, `status` and /health name the columns.
"""

from collections.abc import Sequence
from typing import Protocol

from mappings import sizes
from mappings.loading import Mappings
from schemas import detection
from streams import attention
from streams.detect import guard
from streams.detect.baseline import Live

# The name of the attention.
NAME = "columns"
ACTION = 'name each in "also" (it is a size) or "ignore" (it is none) of "sizes" in board.yaml'


class Source(Protocol):
    """connectors.tables.orders.Orders."""

    def with_numbers(self, columns: Sequence[str]) -> list[str]:
        """Those of these columns in which any row has a number other than 0. Raises Transient or Misconfigured."""


def find(source: Source, live: Live, today: detection.Baseline, mappings: Mappings) -> list[str]:
    """The names of the columns. Costs one scan of the undecided integer columns, and nothing if there is none."""
    candidates = sizes.undecided(live, today.columns, mappings.board.sizes)
    return source.with_numbers(candidates) if candidates else []


def asked(names: Sequence[str]) -> attention.Attention:
    """What an operator has to decide about these columns."""
    verb, noun = ("holds", "column") if len(names) == 1 else ("hold", "columns")
    reason = f"the integer {noun} {guard.listed(names)} of ORDERS_UNIFIED {verb} numbers that no item shows"
    return attention.Attention(reason=reason, action=ACTION, severity="person")
