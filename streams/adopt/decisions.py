"""The ambiguous items as a CSV file for a person, and the person's decisions out of it.

One line is one item that may belong to one order. The person writes `adopt` or `leave` into the column `decision`; a
blank one stays undecided.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from connectors import errors
from schemas import identity
from streams.adopt.matching import Ambiguity, Decided

COLUMNS = ("record_uuid", "item_id", "reason", "decision")
ADOPT, LEAVE = "adopt", "leave"


def write(path: Path, ambiguous: Sequence[Ambiguity]) -> None:
    """Writes the file, with blank decisions. Raises Misconfigured."""
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows((one.record_uuid, one.item_id, one.reason.value, "") for one in ambiguous)
    except OSError as error:
        raise errors.Misconfigured(f"{path}: {error.strerror}") from None


def read(path: Path) -> Decided:
    """The decisions of a file. Raises Misconfigured with the line of the first mistake."""
    adopted: dict[str, str] = {}
    left: set[tuple[str, str]] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            missing = [name for name in COLUMNS if name != "reason" and name not in (lines.fieldnames or ())]
            if missing:
                raise errors.Misconfigured(f"{path}: it has no column {missing[0]}")
            for line in lines:
                uuid, item_id = identity.same(line["record_uuid"] or ""), (line["item_id"] or "").strip()
                word = (line["decision"] or "").strip().casefold()
                mistake = _mistake(word, uuid, item_id, adopted)
                if mistake:
                    raise errors.Misconfigured(f"{path}, line {lines.line_num}: {mistake}")
                if word == ADOPT:
                    adopted[uuid] = item_id
                elif word == LEAVE:
                    left.add((uuid, item_id))
    except OSError as error:
        raise errors.Misconfigured(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise errors.Misconfigured(f"{path} is no CSV file in UTF-8: {error}") from None
    return Decided(adopted, frozenset(left))


def _mistake(word: str, uuid: str, item_id: str, adopted: dict[str, str]) -> str:
    if word not in ("", ADOPT, LEAVE):
        return f"the decision is {word!r}: write {ADOPT} or {LEAVE}, or leave it blank"
    if word and (identity.canonical(uuid) is None or not item_id.isdigit()):
        return "a decision needs a record_uuid and an item_id"
    if word == ADOPT and adopted.get(uuid, item_id) != item_id:
        return f"order {uuid} gets two items, {adopted[uuid]} and {item_id}"
    if word == ADOPT and any(other == item_id and one != uuid for one, other in adopted.items()):
        return f"item {item_id} is adopted for two orders"
    return ""
