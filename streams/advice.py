"""What happens next with a failure, or what a person does about it: one sentence for each row."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.failures import FailureType

NOTHING_KNOWN = "mend what the message names"
# By the code, which formats of the API spell differently: case and underscores do not count.
BY_CODE = {
    "VALIDATION": "mend the row in ORDERS_UNIFIED, the next pass sees it; or mend the mapping",
    "LABEL": "make the label on the board, or let the mapping make it",
    "NO_IDENTITY": "give the row a record_uuid in ORDERS_UNIFIED: every pass looks at it",
    "DUPLICATE_IDENTITY": "give each row a record_uuid of its own in ORDERS_UNIFIED: every pass looks at them",
    "UNDECODABLE": "find who writes such bytes to the topic",
    "ColumnValueException": "mend the value in ORDERS_UNIFIED, the next pass sees it; or mend the board's column",
    "InvalidArgumentException": "mend the value in ORDERS_UNIFIED, the next pass sees it; or mend the mapping",
    "InvalidColumnIdException": "run `ordersync validate` and mend the mapping",
    "ItemNameTooLongException": "shorten the columns that make up the name, or the mapping's name",
    "ResourceNotFoundException": "look whether somebody took its item, group or column away; a retry makes it again",
    "RecordInvalidException": "mend the row in ORDERS_UNIFIED, the next pass sees it",
    "UNSETTLED": "look who else changes this item on the board at the same time",
}
_BY_PLAIN_CODE = {re.sub(r"[^a-z0-9]", "", code.casefold()): text for code, text in BY_CODE.items()}
# What no retry helps: `ordersync retry` says so too.
NEVER_RETRIED = ("NO_IDENTITY", "DUPLICATE_IDENTITY")


def what_next(row: Mapping[str, Any], *, now: str, paused: str | None = None, held: bool = False) -> str:
    """For an open failure as the tables tell it. `now` is a time as the tables write it.

    `paused` says why retries pause, if they do; `held` that its customer is on hold: what was emitted is tried again
    all the same, but no pass looks at its rows.
    """
    err_id, due = row["err_id"], row["next_retry_at"]
    if due is not None:
        if str(due) > now:
            return f"retried by itself at {str(due)[:19].replace('T', ' ')} UTC"
        return f"due; {paused}" if paused else "due: retried within a second or two while a worker runs"
    if row["retryable"] and not row["max_retries_reached"]:
        return "retried by itself: its time is being set"
    if row["error_type"] == FailureType.UNDECODABLE:
        return f"waits for a person: {_mend(row)}; then `ordersync errors --dismiss {err_id} --reason …`"
    if row["error_code"] in NEVER_RETRIED:
        return _mend(row)
    tried = f"tried {row['retry_count'] + 1} times; " if row["retry_count"] else ""
    holding = "its customer is on hold: what is mended is seen after `ordersync release`; " if held else ""
    return f"{holding}{tried}waits for a person: {_mend(row)}; `ordersync retry {err_id}` tries it again"


def _mend(row: Mapping[str, Any]) -> str:
    return _BY_PLAIN_CODE.get(re.sub(r"[^a-z0-9]", "", str(row["error_code"]).casefold()), NOTHING_KNOWN)
