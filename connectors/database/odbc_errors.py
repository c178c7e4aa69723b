"""What ODBC and SQL Server say went wrong, and what it means: the one table of error numbers.

pyodbc's `args` are (SQLSTATE, text); errors that it raises itself come the other way round. The server's own number
stands in parentheses at the end of each message of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

from connectors import errors

Kind = Literal["transient", "rejected", "misconfigured"]

_STATE = re.compile(r"[0-9A-Z]{5}")
# A number in a message may be a value of a row: only the one that ends a message is the server's.
_NUMBER = re.compile(r"\((\d+)\)\s*(?=\(SQL\w+\)|;|$)")


@dataclass(frozen=True)
class Verdict:
    """What an error means. `advice` says what a person does about it."""

    kind: Kind
    code: str
    advice: str = ""


_DUPLICATE = Verdict("rejected", "DUPLICATE")
_WRONG = Verdict("rejected", "WRONG_VALUE")
_BUSY = Verdict("transient", "BUSY")
_AWAY = Verdict("transient", "AWAY")
_SCHEMA = Verdict("misconfigured", "SCHEMA", "run `ordersync setup`")
_MADE = Verdict(
    "misconfigured", "SCHEMA", "make that column, IDENTITY or computed, plain; `ordersync validate` names it"
)
_DEPENDS = Verdict("misconfigured", "SCHEMA", "drop what depends on that column, then run `ordersync setup`")
_LOGIN = Verdict("misconfigured", "LOGIN", "check the user, its password and its rights to this database")
_NO_DATABASE = Verdict(
    "misconfigured", "DATABASE", "make that database, or let this login open it: setup makes tables, never a database"
)
_OWNER = Verdict("misconfigured", "PERMISSION", "run `ordersync setup` with the login of an owner of the database")
_FIREWALL = Verdict("misconfigured", "FIREWALL", "let this machine's address through the server's firewall")
_GRANT = Verdict("misconfigured", "PERMISSION", "run the script of `ordersync setup --print-grants` as an owner")
_FULL = Verdict("misconfigured", "FULL", "make room on the server's disk or in its log")
_TLS = Verdict(
    "misconfigured",
    "TLS",
    "give the server a certificate that this machine trusts, in the name of the address; SSL_CERT_FILE names its CA",
)
_DRIVER = Verdict("misconfigured", "DRIVER", "install Microsoft's ODBC driver, or `pip install 'ordersync[sqlserver]'`")

NUMBERS = {
    **dict.fromkeys((1205, 1222, 3958, 3960, 3961), _BUSY),
    # Locks and memory that the server has none of for now.
    **dict.fromkeys((701, 1204, 8645, 8651), _BUSY),
    **dict.fromkeys((40197, 40501, 40613, 49918, 49919, 49920, 10928, 10929), _AWAY),
    40615: _FIREWALL,
    18456: _LOGIN,
    **dict.fromkeys((4060, 911), _NO_DATABASE),
    **dict.fromkeys((229, 230, 262), _GRANT),
    **dict.fromkeys((1088, 2760, 3701, 15151, 15247), _OWNER),
    **dict.fromkeys((207, 208, 2714, 4902), _SCHEMA),
    **dict.fromkeys((4922, 5074), _DEPENDS),
    **dict.fromkeys((271, 544), _MADE),
    1505: Verdict("misconfigured", "SCHEMA", "that index is unique: remove the duplicates, then run `ordersync setup`"),
    **dict.fromkeys((1105, 9002), _FULL),
    **dict.fromkeys((2627, 2601), _DUPLICATE),
    515: Verdict("rejected", "NULL_REFUSED"),
    **dict.fromkeys((547, 8152, 2628, 8115, 8134, 245, 8114, 241, 8169), _WRONG),
}
# For what has no number of the server, or none that is known.
STATES = {
    **dict.fromkeys(("40001", "HYT00"), _BUSY),
    **dict.fromkeys(("08S01", "08001", "08003", "08007", "HYT01"), _AWAY),
    **dict.fromkeys(("28000", "08004"), _LOGIN),
    **dict.fromkeys(("42S02", "42S22", "42S01"), _SCHEMA),
    **dict.fromkeys(("IM002", "IM003", "IM004"), _DRIVER),
    "23000": Verdict("rejected", "CONSTRAINT"),
    **dict.fromkeys(("22001", "22003", "22007", "22008", "22012", "22018"), _WRONG),
}
# States under which several troubles hide, told apart by a word of the text.
_WORDS = {
    "08001": (("certificate", _TLS), ("SSL", _TLS), ("Authentication", _LOGIN)),
    "01000": (("Can't open lib", _DRIVER),),
    "HYT00": (("Login timeout", _AWAY),),
}


def state_and_text(args: tuple[object, ...]) -> tuple[str, str]:
    """SQLSTATE and message, whichever way round pyodbc put them."""
    words = [str(arg) for arg in args]
    state = next((word for word in words if _STATE.fullmatch(word)), "")
    return state, " ".join(word for word in words if word != state)


def verdict(args: tuple[object, ...]) -> Verdict | None:
    """What this error means; None for a mistake in a statement, or one that nobody knows."""
    state, text = state_and_text(args)
    # 18456, a failed login, comes along with its reason, before or after it.
    for number in sorted(map(int, _NUMBER.findall(text)), key=lambda number: number == 18456):
        if number in NUMBERS:
            return NUMBERS[number]
    for word, meant in _WORDS.get(state, ()):
        if word in text:
            return meant
    return STATES.get(state)


def named(args: tuple[object, ...], where: str) -> errors.OrdersyncError | None:
    """Our error for one of pyodbc; None when it should end the process as it is. `where` holds no secret."""
    meant = verdict(args)
    if meant is None:
        return None
    text = " ".join(state_and_text(args)[1].split())
    if meant.kind == "transient":
        return errors.Transient(f"{where}: {text}")
    if meant.kind == "rejected":
        return errors.Rejected(f"the database refused a row: {text}", code=meant.code)
    return errors.Misconfigured(f"{where}: {text}: {meant.advice}", code=meant.code)
