"""The identity of an order: a UUID, written in capitals with hyphens and without braces.

Tables, topics and boards that earlier versions of ordersync wrote hold identities as the source spelled them, so every
identity that is read from outside SQL becomes canonical here. sql/uuids.py does the same for the source's cells.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_FORM = re.compile(
    r"[ \t\n\r\N{NO-BREAK SPACE}]*(?P<open>\{)?"
    r"(?P<digits>[0-9A-Fa-f]{8}(?:(?:-[0-9A-Fa-f]{4}){3}-|[0-9A-Fa-f]{12})[0-9A-Fa-f]{12})"
    r"(?(open)\})[ \t\n\r\N{NO-BREAK SPACE}]*"
)


def canonical(text: str) -> str | None:
    """The UUID that `text` spells, in its canonical form; None for a text that spells none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    digits = found["digits"].upper()
    if len(digits) == 36:
        return digits
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def same(text: str) -> str:
    """The canonical form of a UUID; any other text as it is."""
    return canonical(text) or text


# The record_uuid of an event or a mutation, whatever version of ordersync wrote it.
RecordUuid = Annotated[str, AfterValidator(same)]
