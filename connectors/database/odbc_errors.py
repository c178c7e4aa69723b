"""The one table of the error numbers of ODBC and SQL Server, and of the class of each in our error tree.

The `args` of a pyodbc error are (SQLSTATE, text), or (text, SQLSTATE) for an error of its own. The number of the server
stands in parentheses at the end of each message of the text.
"""

import re
from dataclasses import dataclass
from typing import Literal

from connectors import errors

Kind = Literal["transient", "rejected", "misconfigured"]

_STATE = re.compile(r"[0-9A-Z]{5}")
# Another number in a message may be a value of a row: only the last one is the server's.
_NUMBER = re.compile(r"\((\d+)\)\s*(?=\(SQL\w+\)|;|$)")


@dataclass(frozen=True)
class Verdict:
    """The meaning of an error. `advice` is the action that the operator takes."""

    kind: Kind
    code: str
    advice: str = ""


_DUPLICATE = Verdict("rejected", "DUPLICATE")
_WRONG = Verdict("rejected", "WRONG_VALUE")
_BUSY = Verdict("transient", "BUSY")
_AWAY = Verdict("transient", "AWAY")
_SCHEMA = Verdict("misconfigured", "SCHEMA", "run `ordersync setup`")
_MADE = Verdict(
    "misconfigured", "SCHEMA", "turn the IDENTITY or computed column into a plain one; `ordersync validate` names it"
)
_DEPENDS = Verdict("misconfigured", "SCHEMA", "drop what depends on that column, then run `ordersync setup`")
_LOGIN = Verdict("misconfigured", "LOGIN", "check the user, its password and its rights to this database")
_NO_DATABASE = Verdict(
    "misconfigured",
    "DATABASE",
    "create that database, or let this login open it: setup creates tables, never a database",
)
_OWNER = Verdict("misconfigured", "PERMISSION", "run `ordersync setup` with the login of an owner of the database")
_FIREWALL = Verdict("misconfigured", "FIREWALL", "let this machine's address through the server's firewall")
_GRANT = Verdict("misconfigured", "PERMISSION", "run the script of `ordersync setup --print-grants` as an owner")
_FULL = Verdict("misconfigured", "FULL", "free space on the server's disk or in its log")
_TLS = Verdict(
    "misconfigured",
    "TLS",
    "give the server a certificate that this machine trusts, in the name of the address; SSL_CERT_FILE names its CA",
)
_DRIVER = Verdict("misconfigured", "DRIVER", "install Microsoft's ODBC driver, or `pip install 'ordersync[sqlserver]'`")

NUMBERS = {
    **dict.fromkeys((1205, 1222, 3958, 3960, 3961), _BUSY),
    # The server is out of locks or memory for now.
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
# For errors without a number of the server, or with an unknown one.
STATES = {
    **dict.fromkeys(("40001", "HYT00"), _BUSY),
    **dict.fromkeys(("08S01", "08001", "08003", "08007", "HYT01"), _AWAY),
    **dict.fromkeys(("28000", "08004"), _LOGIN),
    **dict.fromkeys(("42S02", "42S22", "42S01"), _SCHEMA),
    **dict.fromkeys(("IM002", "IM003", "IM004"), _DRIVER),
    "23000": Verdict("rejected", "CONSTRAINT"),
    **dict.fromkeys(("22001", "22003", "22007", "22008", "22012", "22018"), _WRONG),
}
# States of several meanings, which a word of the text decides.
_WORDS = {
    "08001": (("certificate", _TLS), ("SSL", _TLS), ("Authentication", _LOGIN)),
    "01000": (("Can't open lib", _DRIVER),),
    "HYT00": (("Login timeout", _AWAY),),
}


def state_and_text(args: tuple[object, ...]) -> tuple[str, str]:
    """SQLSTATE and message of pyodbc's `args`, in either order; a missing SQLSTATE is blank."""
    words = [str(arg) for arg in args]
    state = next((word for word in words if _STATE.fullmatch(word)), "")
    return state, " ".join(word for word in words if word != state)


def verdict(args: tuple[object, ...]) -> Verdict | None:
    """The meaning of an error; None for a mistake in a statement, or for an unknown error."""
    state, text = state_and_text(args)
    # The server sends 18456, a failed login, with its reason, which may stand before or after it.
    for number in sorted(map(int, _NUMBER.findall(text)), key=lambda number: number == 18456):
        if number in NUMBERS:
            return NUMBERS[number]
    for word, meaning in _WORDS.get(state, ()):
        if word in text:
            return meaning
    return STATES.get(state)


def named(args: tuple[object, ...], where: str) -> errors.OrdersyncError | None:
    """Our error for one of pyodbc; None for one that ends the process as it is. `where` contains no secret."""
    meaning = verdict(args)
    if meaning is None:
        return None
    text = " ".join(state_and_text(args)[1].split())
    if meaning.kind == "transient":
        return errors.Transient(f"{where}: {text}")
    if meaning.kind == "rejected":
        return errors.Rejected(f"the database refused a row: {text}", code=meaning.code)
    return errors.Misconfigured(f"{where}: {text}: {meaning.advice}", code=meaning.code)
