"""findings are what verify reports: orders that the tables contradict, with the cells, and rows with warnings."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from connectors.tables.records import LedgerRecord
from connectors.tables.row_states import SourceRow, Stray
from schemas.base import Model
from schemas.batches import SyncState
from streams.reconcile.comparison import Difference, Odd
from streams.reconcile.expected import Expected

# Cells of one order that its text names.
MOST = 5


class Kind(StrEnum):
    """The kinds of findings, each with its text for the operator."""

    NEVER_SENT = "marked as in sync, but its newest version was never settled"
    NOT_IN_PRODUCTION = "marked as in sync, but production does not have the settled version"
    STILL_IN_PRODUCTION = "excluded, but production still has it"
    PRODUCTION_EDITED = "production differs from the source row"
    LEDGER_DIFFERS = "the ledger of the board differs from source row and production"
    CONVERTED_OTHERWISE = "the source row converts otherwise than production and board show it"
    NOT_IN_SOURCE = "production has it, and no source row explains it"
    ITEM_NOT_IN_SOURCE = "the board has its item, and no source row explains it"
    FUTURE = "it has a version above that of the newest pass"
    AHEAD = "its settled or failed version is above its newest version"
    OTHER_HASH = "snapshot row, staging and production do not name the same version and hash"
    UNEXPLAINED = "failed, but no ERR row gives the reason"
    SUM = "the states do not add up to the rows of the source"


class Finding(Model):
    """One order that the tables contradict, with the cells that differ. For Kind.SUM, `customer` has two numbers."""

    kind: Kind
    record_uuid: str
    customer: str
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        subject = f"{self.customer} {self.record_uuid}".strip()
        cells = [str(one) for one in self.differences[:MOST]]
        if len(self.differences) > MOST:
            cells.append(f"and {len(self.differences) - MOST} more cells")
        return f"{subject}: {self.kind.value}" + "".join(f"; {cell}" for cell in cells)


class Warned(Model):
    """The warnings of one source row, each with its text. They refuse nothing."""

    record_uuid: str
    customer: str
    texts: tuple[str, ...]


# The tables in which RowStates.alone and RowStates.forged look, and what their rows are.
TABLES = {"production_alone": "production", "sizes_alone": "sizes of production", "items_alone": "ledger"}
OF_STRAYS = {
    "production_alone": Kind.NOT_IN_SOURCE,
    "sizes_alone": Kind.NOT_IN_SOURCE,
    "items_alone": Kind.ITEM_NOT_IN_SOURCE,
    "staged_otherwise": Kind.OTHER_HASH,
    "staged_in_future": Kind.FUTURE,
    "items_in_future": Kind.FUTURE,
}


def kind_of(differences: Sequence[Difference]) -> Kind:
    """The kind of an order with these differences: the most urgent one."""
    odd = {one.odd for one in differences}
    if odd & {Odd.PRODUCTION, Odd.ALL}:
        return Kind.PRODUCTION_EDITED
    return Kind.LEDGER_DIFFERS if Odd.SHOWN in odd else Kind.CONVERTED_OTHERWISE


def warned(expected: Expected, customer: str) -> Warned | None:
    """The warnings of a row; None if it has none."""
    texts = tuple(str(warning) for warning in expected.warnings)
    return Warned(record_uuid=expected.record_uuid, customer=customer, texts=texts) if texts else None


def has_last_good(row: SourceRow, ledger: Iterable[LedgerRecord]) -> bool:
    """Was nothing newer than the settled version sent of a failed row, so that production and ledger agree?

    Of an adopted order, nothing is settled before its first promotion.
    """
    newest = row.settled_version
    return newest > 0 and all(isinstance(one.version, int) and one.version <= newest for one in ledger)


def stays(stray: Stray, undetected: Collection[str]) -> bool:
    """Is nothing on its way that would explain this row? `undetected`: orders that the source has again."""
    return stray.record_uuid not in undetected and stray.sync_state in (None, SyncState.IN_SYNC, SyncState.EXCLUDED)
