"""Compares what a process is pointed at with what its home and its database are bound to. Pure, but for one look.

The database decides: its own id is in its binding, so two files that had the same path are two databases. The home
folder has a copy of the binding, so that another database is noticed. A SQLite file that was moved is the same
database; a copy beside the original is another one.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors import errors
from connectors.monday.board_values import BoardIdentity
from schemas import bindings
from schemas.base import Model
from schemas.bindings import Binding

CODE = "BINDING"


class Place(Model):
    """What the settings and the mapping name. `api` is "" where they name none, and none is needed."""

    database: str
    api: str
    board_id: str


def differences(home: Binding | None, stored: Binding | None, here: Place) -> list[str]:
    """Every part that is not what was bound, with both names. `stored` is the binding that the database holds."""
    found: list[str] = []
    if home is not None and (stored is None or stored.database_id != home.database_id):
        when = f"when this home was bound on {home.bound_at:%Y-%m-%d}"
        same = f"database {here.database}, which is not the one that was there {when}"
        found.append(same if home.database == here.database else f"database {home.database}, not to {here.database}")
    elif stored is not None and is_copy(stored, here):
        found.append(f"database {stored.database}, not to its copy {here.database}")
    bound = stored or home
    if bound is None:
        return found
    if bound.board_id != here.board_id:
        found.append(f"board {bound.parts['board']}, not to board {here.board_id}")
    if here.api and bound.api != here.api:
        found.append(f"API {bound.parts['API']}, not to {bindings.api_described(here.api)}")
    return found


def is_copy(stored: Binding, here: Place) -> bool:
    """Whether the database was copied from the one that was bound. A file that is no longer there was moved."""
    if stored.database == here.database:
        return False
    is_file = Path(stored.database).is_absolute() and Path(here.database).is_absolute()
    return not is_file or Path(stored.database).exists()


def other_account(bound: Binding, identity: BoardIdentity) -> list[str]:
    """The account, if the token belongs to another one than was bound."""
    if bound.account_id == identity.account_id:
        return []
    now = bindings.described(identity.account_id, identity.account_name)
    return [f"account {bound.parts['account']}, not to account {now}"]


def refused(found: Sequence[str]) -> errors.Misconfigured:
    """The error for these differences, with the way out."""
    return errors.Misconfigured(
        f"ordersync is bound to {'; and to '.join(found)}. Correct the settings; or bind it to what they name now with "
        "`ordersync setup --rebind`, which forgets the ledger of another board, and then run `ordersync adopt`",
        code=CODE,
    )
