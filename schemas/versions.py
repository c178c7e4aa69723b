"""The rule of superseding and settling, which every step and every table uses.

A version is superseded as soon as a newer valid version is staged, or a newer one is settled. A version that validation
refused supersedes nothing: the board keeps the last valid one. A version that the API refused does supersede, because a
part of it may be on the board.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from schemas.batches import StagingStatus


class Version(NamedTuple):
    """One version of one order. `number` is the number of the pass that detected it."""

    record_uuid: str
    number: int


class SyncedVersion(NamedTuple):
    """A version that the board shows, with the hash of the row that it was converted from."""

    record_uuid: str
    number: int
    row_hash: str

    @property
    def version(self) -> Version:
        """This version without its hash."""
        return Version(self.record_uuid, self.number)


class ConfirmedVersion(NamedTuple):
    """A version that the board shows, with its item; `item_id` is None when the order left the board."""

    record_uuid: str
    number: int
    item_id: str | None

    @property
    def version(self) -> Version:
        """This version without its item."""
        return Version(self.record_uuid, self.number)


class LeftSizes(NamedTuple):
    """Sizes that left an order: its version sets them to 0. `stg_id` is the key of its staged row."""

    stg_id: int
    version: Version
    labels: Sequence[str]


class StagedVersion(NamedTuple):
    """The status of one staged version; `valid` is False when validation refused it."""

    status: StagingStatus
    valid: bool


def newest_valid(staged: Mapping[int, StagedVersion]) -> int:
    """The newest version of an order that validation accepted; 0 when there is none."""
    return max((number for number, version in staged.items() if version.valid), default=0)


def is_superseded(number: int, *, newest_valid: int = 0, settled: int = 0) -> bool:
    """Is a newer version staged, or settled? Then no step may write this one."""
    return number < max(newest_valid, settled)


def is_settled(number: int, settled: int) -> bool:
    """Is this version, or a newer one, settled?"""
    return number <= settled


def may_promote(number: int, *, settled: int, status: StagingStatus | None) -> bool:
    """May an OrderSynced of this version be promoted? `status` is that of its staged row, None when there is none.

    A settled version is promoted again only when a replay has just confirmed it on the board: its item id may differ.
    """
    if status is None:
        return False
    return number > settled or (number == settled and status is StagingStatus.API_SUCCESS)


def may_record_failure(number: int, *, settled: int, failed_at: datetime, settled_at: datetime | None) -> bool:
    """Does a failure of this version still count? It does not when a newer version is settled, nor when this version
    was settled after it failed: then a later attempt succeeded.
    """
    if number != settled:
        return number > settled
    return settled_at is not None and failed_at > settled_at
