"""What the writer tells Monday.com, and what it is told back.

A plan is a list of mutations; a mutation is a plain value that can be printed, journalled and sent.
`create_labels` lets the API make a dropdown label that is missing; the label policy was checked before.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import ColumnValue, Model


class Removal(StrEnum):
    """What happens on the board to an order that left the source."""

    ARCHIVE = "archive"
    DELETE = "delete"
    KEEP = "keep"


class Entity(Model):
    """What the ledger knows of one item (`size_label` "") or subitem on the board.

    `board_id` is the board that holds it: subitems live on a board of their own.
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
    """What the board shall show for one order: the item, and one subitem for each size."""

    record_uuid: str
    name: str
    group_name: str
    columns: dict[str, ColumnValue]
    sizes: dict[str, int]


class CreateItem(Model):
    """Make the item of an order."""

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
    """Make the subitem of one size; its parent exists."""

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
    """Make a group of the board."""

    kind: Literal["create_group"] = "create_group"
    group_name: str


Mutation = Annotated[
    CreateItem | UpdateItem | MoveItem | RemoveItem | CreateSubitem | UpdateSubitem | CreateGroup,
    Field(discriminator="kind"),
]


class Done(Model):
    """The API confirmed one mutation. `board_id` is told for items and subitems."""

    kind: Literal["done"] = "done"
    id: str
    board_id: str | None = None


class Refused(Model):
    """The API refused one mutation; sending it again unchanged would be refused again."""

    kind: Literal["refused"] = "refused"
    code: str
    message: str
    http_status: int | None = None
    request_id: str | None = None


class Unknown(Model):
    """Nobody can say whether one mutation took place: look before doing it again."""

    kind: Literal["unknown"] = "unknown"
    reason: str


Outcome = Annotated[Done | Refused | Unknown, Field(discriminator="kind")]
