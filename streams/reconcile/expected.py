"""expected converts a source row with today's mapping: the order that production and board shall show for it.

It is pure, and the same conversion as stage: a row is a valid order, or an excluded row, or refused with its problems.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mappings import items
from mappings.loading import Mappings
from schemas.base import Cell
from schemas.orders import Order, Problem, Severity


@dataclass(frozen=True, slots=True)
class Expected:
    """The expectation of one source row. Without `order` it is excluded, or refused for the errors in `problems`."""

    record_uuid: str
    order: Order | None
    excluded: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def refused(self) -> bool:
        """Does stage refuse the row?"""
        return self.order is None and not self.excluded

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not refuse the row."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.WARNING)


@dataclass(frozen=True)
class Expectations:
    """Converts rows. `size_columns`: those of the source now; `target_lengths`: as in mappings.items.convert."""

    mappings: Mappings
    size_columns: Sequence[str]
    target_lengths: Mapping[str, int | None]

    def of(self, record_uuid: str, row: Mapping[str, Cell]) -> Expected:
        """The expectation of a row. `row`: its watched cells by source column; the key may be absent.

        No content of a row raises an error.
        """
        if items.is_excluded(row, self.mappings):
            return Expected(record_uuid, None, excluded=True)
        filled = {name: cell for name, cell in row.items() if cell is not None}
        filled[self.mappings.board.key.source] = record_uuid
        converted = items.convert(
            filled,
            # Most sizes of most rows are blank.
            size_columns=[name for name in self.size_columns if name in filled],
            mappings=self.mappings,
            target_lengths=self.target_lengths,
        )
        return Expected(record_uuid, converted.order, problems=converted.problems)
