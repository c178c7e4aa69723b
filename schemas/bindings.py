"""The binding of a home: the database, Monday account, board and API that belong together."""

from datetime import datetime
from enum import StrEnum

from schemas.base import Model


class Creates(StrEnum):
    """What the writer may do with an order that the ledger does not have.

    FREE: create its item. LOOK: look for its item on the board by the key column, and create it only if there is none.
    HELD: look for it, and create nothing: the board holds items without a key, and one of them may be the order's.
    """

    FREE = "free"
    LOOK = "look"
    HELD = "held"


class Binding(Model):
    """What a home is bound to. Database and API as `Settings.database_name` and `api_host` name them.

    `database_id` is written into the database at its first binding. `items`: those that the board had when the home was
    bound. `creates` was decided then, and becomes FREE when the board's items have been adopted, at `adopted_at` (UTC).
    """

    database_id: str
    database: str
    api: str
    account_id: str
    account_name: str
    board_id: str
    board_name: str
    bound_at: datetime
    items: int
    creates: Creates
    adopted_at: datetime | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The four that are bound, in words, by what they are."""
        return {
            "database": self.database,
            "account": described(self.account_id, self.account_name),
            "board": described(self.board_id, self.board_name),
            "API": api_described(self.api),
        }

    @property
    def text(self) -> str:
        """The four in one line."""
        return ", ".join(f"{name} {text}" for name, text in self.parts.items())

    @property
    def lines(self) -> list[str]:
        """What is bound, and what that means for creates, one line each."""
        held = f"the board has {self.items} items, some without our key: nothing is created before `ordersync adopt`"
        return [f"bound to {self.text}"] + [held] * (self.creates is Creates.HELD)


def described(number: str, name: str) -> str:
    """An account or board in words."""
    return f"{number} ({name})" if name else number


def api_described(api: str) -> str:
    """An API in words."""
    return "the bundled board" if api == "bundled" else api
