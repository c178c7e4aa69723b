"""The mutations that the writer sends to Monday.com, and their outcomes.

A plan is a list of mutations; a mutation is a plain value that can be printed, journalled and sent.
`create_labels` lets the API create a missing dropdown label; the label policy was checked before.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import ColumnValue, Model


class Removal(StrEnum):
    """The removal policy: what the board does with the item of an order that left the source."""

    ARCHIVE = "archive"
    DELETE = "delete"
    KEEP = "keep"


class Entity(Model):
    """The ledger's values of one item (`size_label` "") or subitem on the board.

    `board_id` is its board: subitems have a board of their own.
    """

    record_uuid: str
    size_label: str = ""
    item_id: str
    board_id: str
    name: str
    group_name: str = ""
    columns: dict[str, ColumnValue] = {}
    active: bool = True


class DesiredItem(Model):
    """The item that the board must show for one order, with one subitem for each size."""

    record_uuid: str
    name: str
    group_name: str
    columns: dict[str, ColumnValue]
    sizes: dict[str, int]


class CreateItem(Model):
    """Create the item of an order."""

    kind: Literal["create_item"] = "create_item"
    record_uuid: str
    name: str
    group_name: str
    columns: dict[str, ColumnValue]
    create_labels: bool = False


class UpdateItem(Model):
    """Change only these columns of an item; the key `name` renames it."""

    kind: Literal["update_item"] = "update_item"
    record_uuid: str
    item_id: str
    columns: dict[str, ColumnValue]
    create_labels: bool = False


class MoveItem(Model):
    """Move an item to another group of its board."""

    kind: Literal["move_item"] = "move_item"
    record_uuid: str
    item_id: str
    group_name: str


class RemoveItem(Model):
    """Archive or delete an item together with its subitems."""

    kind: Literal["remove_item"] = "remove_item"
    record_uuid: str
    item_id: str
    removal: Removal


class CreateSubitem(Model):
    """Create the subitem of one size; its parent exists."""

    kind: Literal["create_subitem"] = "create_subitem"
    record_uuid: str
    size_label: str
    parent_item_id: str
    name: str
    columns: dict[str, ColumnValue]
    create_labels: bool = False


class UpdateSubitem(Model):
    """Change only these columns of a subitem."""

    kind: Literal["update_subitem"] = "update_subitem"
    record_uuid: str
    size_label: str
    item_id: str
    board_id: str
    columns: dict[str, ColumnValue]
    create_labels: bool = False


class CreateGroup(Model):
    """Create a group of the board."""

    kind: Literal["create_group"] = "create_group"
    group_name: str


class RenameGroup(Model):
    """Give a group that a user renamed its name back. `shown`: the title that the board shows now."""

    kind: Literal["rename_group"] = "rename_group"
    group_id: str
    group_name: str
    shown: str


# The mutations that belong to no order.
GroupMutation = CreateGroup | RenameGroup

Mutation = Annotated[
    CreateItem | UpdateItem | MoveItem | RemoveItem | CreateSubitem | UpdateSubitem | CreateGroup | RenameGroup,
    Field(discriminator="kind"),
]


class Done(Model):
    """The API confirmed one mutation. The API states `board_id` for items and subitems only."""

    kind: Literal["done"] = "done"
    id: str
    board_id: str | None = None


class Refused(Model):
    """The API rejected one mutation, and will reject it as often as it is sent unchanged."""

    kind: Literal["refused"] = "refused"
    code: str
    message: str
    http_status: int | None = None
    request_id: str | None = None


class Unknown(Model):
    """The outcome of one mutation is unknown: a lookup must precede a repetition."""

    kind: Literal["unknown"] = "unknown"
    reason: str


Outcome = Annotated[Done | Refused | Unknown, Field(discriminator="kind")]
