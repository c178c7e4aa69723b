"""Checks the format of a value for each column type, exactly as documented.

`convert` turns the JSON of one column into a cell, or raises Invalid. JSON null clears a column. The API accepts some
formats that no document describes; the simulator refuses them.
"""

import json
import re
from collections.abc import Callable
from datetime import date, time
from typing import Any, Protocol

from connectors.simulator import store

LONG_TEXT_LENGTH = 2_000
STATUS_LABEL_LENGTH = 30
LINKED_ITEMS = 750
# Types that the API only reads.
READ_ONLY = frozenset(
    ("auto_number", "button", "creation_log", "formula", "item_id", "last_updated", "mirror", "progress", "subtasks")
)
# Types that a search by text does not cover.
NOT_SEARCHABLE = READ_ONLY | {"board_relation"}


# One encoder for all calls: a new one for each call doubles the cost of a create.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Invalid(Exception):
    """An invalid value, with the reason in words; `code` is the API's word."""

    def __init__(self, reason: str, *, code: str = "ColumnValueException") -> None:
        super().__init__(reason)
        self.code = code


class Labels(Protocol):
    """The labels of one column."""

    def id_of(self, label: str) -> int:
        """The id of a label, which is created if allowed. Raises Invalid."""

    def label_of(self, label_id: int) -> str:
        """The label of an id. Raises Invalid."""


def _object(sent: Any, required: set[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise Invalid(f"an object with {sorted(required)} is expected, not {json.dumps(sent)[:80]}")
    if missing := required - sent.keys():
        raise Invalid(f"{sorted(missing)} is missing")
    if surplus := sent.keys() - required - optional:
        raise Invalid(f"{sorted(surplus)} is not a key of this column type")
    return sent


def _string(sent: Any, name: str = "value") -> str:
    if not isinstance(sent, str):
        raise Invalid(f"{name}: a string is expected, not {json.dumps(sent)[:80]}")
    return sent


def _matching(sent: Any, pattern: str, name: str) -> str:
    text = _string(sent, name)
    if not re.fullmatch(pattern, text):
        raise Invalid(f"{name}: {text[:80]!r} is not valid")
    return text


def _day(sent: Any, name: str) -> str:
    text = _matching(sent, r"\d{4}-\d{2}-\d{2}", name)
    try:
        date.fromisoformat(text)
    except ValueError as reason:
        raise Invalid(f"{name}: {text!r} is not a day") from reason
    return text


def _integers(sent: Any, name: str) -> list[int]:
    if not isinstance(sent, list) or not all(isinstance(each, int) and not isinstance(each, bool) for each in sent):
        raise Invalid(f"{name}: a list of whole numbers is expected")
    return sent


# Each converter returns (value as the API returns it, text).
Converted = tuple[Any, str]


def _text(sent: Any, _: Labels) -> Converted:
    return _string(sent), _string(sent)


def _long_text(sent: Any, _: Labels) -> Converted:
    text = _string(_object(sent, {"text"})["text"], "text")
    if len(text) > LONG_TEXT_LENGTH:
        raise Invalid(f"text has {len(text)} characters, {LONG_TEXT_LENGTH} are allowed")
    return {"text": text}, text


def _numbers(sent: Any, _: Labels) -> Converted:
    text = _matching(sent, r"(-?\d+(\.\d+)?)?", "number") or "0"
    return text, text


def _date(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"date"}, frozenset({"time"}))
    text = _day(fields["date"], "date")
    if "time" not in fields:
        return {"date": text}, text
    clock = _matching(fields["time"], r"\d{2}:\d{2}:\d{2}", "time")
    try:
        time.fromisoformat(clock)
    except ValueError as reason:
        raise Invalid(f"time: {clock!r} is not a time of day") from reason
    return {"date": text, "time": clock}, f"{text} {clock[:5]}"


def _status(sent: Any, labels: Labels) -> Converted:
    if isinstance(sent, dict) and "index" in sent:
        index = _integers([_object(sent, {"index"})["index"]], "index")[0]
        return {"index": index}, labels.label_of(index)
    label = _string(_object(sent, {"label"})["label"], "label")
    if not label or label.isdigit():
        raise Invalid(f"label {label!r}: a blank label is null, a numeric one is sent as index")
    if len(label) > STATUS_LABEL_LENGTH:
        raise Invalid(f"label has {len(label)} characters, {STATUS_LABEL_LENGTH} are allowed")
    return {"index": labels.id_of(label)}, label


def _dropdown(sent: Any, labels: Labels) -> Converted:
    if isinstance(sent, dict) and "ids" in sent:
        ids = _integers(_object(sent, {"ids"})["ids"], "ids")
        return {"ids": ids}, ", ".join(map(labels.label_of, ids))
    chosen = _object(sent, {"labels"})["labels"]
    if not isinstance(chosen, list) or not all(isinstance(each, str) and each.strip() for each in chosen):
        raise Invalid("labels: a list of strings that are not blank is expected")
    return {"ids": list(map(labels.id_of, chosen))}, ", ".join(chosen)


def _checkbox(sent: Any, _: Labels) -> Converted:
    _matching(_object(sent, {"checked"})["checked"], "true", "checked")
    return {"checked": True}, "v"


def _country(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"countryCode", "countryName"})
    _matching(fields["countryCode"], "[A-Z]{2}", "countryCode")
    return fields, _matching(fields["countryName"], r".+", "countryName")


def _email(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"email", "text"})
    _matching(fields["email"], r"[^@\s]+@[^@\s]+\.[^@\s]+", "email")
    return fields, _string(fields["text"], "text")


def _link(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"url", "text"})
    _matching(fields["url"], r"https?://\S+", "url")
    return fields, f"{_string(fields['text'], 'text')} - {fields['url']}"


def _phone(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"phone", "countryShortName"})
    _matching(fields["countryShortName"], "[A-Z]{2}", "countryShortName")
    return fields, _matching(fields["phone"], r"\+?\d{5,15}", "phone")


def _timeline(sent: Any, _: Labels) -> Converted:
    fields = _object(sent, {"from", "to"})
    start, end = _day(fields["from"], "from"), _day(fields["to"], "to")
    if end < start:
        raise Invalid(f"the timeline ends on {end}, before it starts on {start}")
    return fields, f"{start} - {end}"


def _people(sent: Any, _: Labels) -> Converted:
    chosen = _object(sent, {"personsAndTeams"})["personsAndTeams"]
    if not isinstance(chosen, list):
        raise Invalid("personsAndTeams: a list is expected")
    for each in chosen:
        fields = _object(each, {"id", "kind"})
        _matching(fields["kind"], "person|team", "kind")
        if fields["id"] != USER_ID:
            raise Invalid(f"user {fields['id']} is not on the board", code="InvalidUserIdException")
    return {"personsAndTeams": chosen}, ", ".join(USER_NAME for _ in chosen)


def _board_relation(sent: Any, _: Labels) -> Converted:
    ids = _integers(_object(sent, {"item_ids"})["item_ids"], "item_ids")
    if len(ids) > LINKED_ITEMS:
        raise Invalid(f"{len(ids)} linked items, {LINKED_ITEMS} are allowed")
    return {"linkedPulseIds": [{"linkedPulseId": each} for each in ids]}, ""


# The only user of the simulator: the owner of the token.
USER_ID, USER_NAME = 1, "Simulator"
# The user of the edits by hand, and the name of the account of both users.
PERSON_ID, ACCOUNT_NAME = 2, "Simulator"

CONVERTERS: dict[str, Callable[[Any, Labels], Converted]] = {
    "text": _text,
    "long_text": _long_text,
    "numbers": _numbers,
    "date": _date,
    "status": _status,
    "dropdown": _dropdown,
    "checkbox": _checkbox,
    "country": _country,
    "email": _email,
    "link": _link,
    "phone": _phone,
    "timeline": _timeline,
    "people": _people,
    "board_relation": _board_relation,
}


def convert(column: store.Column, sent: Any, labels: Labels) -> store.Cell | None:
    """The cell for the value `sent` of this column; None when it clears the column. Raises Invalid."""
    converter = CONVERTERS.get(column.type)
    if converter is None:
        raise Invalid(f"a {column.type} column is read-only")
    if sent is None:
        return None
    value, text = converter(sent, labels)
    if value in ({"ids": []}, {"personsAndTeams": []}, {"linkedPulseIds": []}):
        return None
    folded = None if column.type in NOT_SEARCHABLE else text.casefold()
    written = _compact(sent)
    return store.Cell(written, written if value == sent else _compact(value), text, folded)
