"""One source cell to its canonical form: text, a number with four places, an ISO date, or None when blank.

Nothing is coerced silently: what cannot be read exactly raises BadValue, which says why and what to do.
"""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date as calendar_date
from decimal import ROUND_HALF_EVEN, Context, Decimal

from schemas import mappings as shapes
from schemas import orders
from schemas.base import Cell

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CONTROL_BUT_NEWLINE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")
_NEWLINE = re.compile(r"\r\n?")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")

_PLAIN_NUMBER = re.compile(r"[0-9]{1,14}(?:\.[0-9]{1,4})?")
# A group of thousands never starts with 0: "0,123" is a decimal comma, not 123.
_NUMBER = re.compile(
    r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?"
    r"|\.[0-9]+"
    r"|[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?"
)
_FOUR_PLACES = Decimal("0.0001")
_DIGITS = 14  # before the point, in DECIMAL(18,4)
_EXACT = Context(prec=40, rounding=ROUND_HALF_EVEN)

_YEAR_FIRST = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?: (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])?")
_SLASHED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")

Converter = Callable[[Cell, shapes.ValueRules], str | None]

_SHOWN = 120  # a longer value is cut in messages; the whole of it stays with the original row


class BadValue(ValueError):
    """A value that must not be sent. A WARNING leaves only this value out, an ERROR refuses its order."""

    def __init__(self, reason: str, advice: str, severity: orders.Severity = orders.Severity.ERROR) -> None:
        super().__init__(f"{reason}. {advice}")
        self.reason = reason
        self.advice = advice
        self.severity = severity

    def problem(self, column: str, cell: Cell) -> orders.Problem:
        """The same as a fact about one cell of a row."""
        # Half a character cannot be written as UTF-8, and the problem must reach the ERR row.
        shown = None if cell is None else _HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", str(cell))
        if shown is not None and len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}… ({len(shown)} characters)"
        return orders.Problem(
            column=column, value=shown, reason=self.reason, advice=self.advice, severity=self.severity
        )


def clean(raw: str) -> str:
    """Trimmed (a no-break space is white space); a run of control characters is one space."""
    return (raw if raw.isprintable() else _CONTROL.sub(" ", raw)).strip()


def key(raw: str) -> str:
    """What a word is matched by: without case and spaces."""
    return "".join(raw.split()).casefold()


def plain(cell: Cell, rules: shapes.ValueRules) -> str:
    """One line of trimmed text; "" for nothing, white space, or a word for it (nan, none, null)."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return str(cell)
    cleaned = clean(cell)
    return "" if cleaned.casefold() in rules.blank else cleaned


def is_blank(cell: Cell, rules: shapes.ValueRules) -> bool:
    """Whether a cell says nothing. 0 says something."""
    return not plain(cell, rules)


def text(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """One line of text."""
    return _whole(plain(cell, rules)) or None


def long_text(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """Text whose inner newlines stay, each as a line feed."""
    if not isinstance(cell, str) or cell.isprintable():
        return text(cell, rules)
    cleaned = _CONTROL_BUT_NEWLINE.sub(" ", _NEWLINE.sub("\n", cell)).strip()
    return None if cleaned.casefold() in rules.blank else _whole(cleaned) or None


def label(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """A label is a line of text, its case and punctuation kept."""
    return text(cell, rules)


def number(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """A number that fits DECIMAL(18,4), as text with four places: "28.8600".

    One currency sign (before or after) or one percent sign is taken off, as are correct thousands separators.
    More than four decimals are rounded half-even.
    """
    written = plain(cell, rules)
    if not written:
        return None
    if _PLAIN_NUMBER.fullmatch(written):  # nearly all of them: exact without any arithmetic
        whole, _, fraction = written.partition(".")
        return f"{whole.lstrip('0') or '0'}.{fraction:0<4}"
    negative, bare = _without_signs(written, rules.currency)
    if not _NUMBER.fullmatch(bare):
        if "," in bare:
            raise BadValue("its comma is no thousands separator", "Write it as 1234.50 or 1,234.50")
        raise BadValue("it is not a number", "Write digits with a decimal point, or leave it blank")
    exact = Decimal(bare.replace(",", ""))
    if exact and exact.adjusted() < _DIGITS:
        exact = exact.quantize(_FOUR_PLACES, context=_EXACT)
    if exact and exact.adjusted() >= _DIGITS:
        raise BadValue("it is larger than DECIMAL(18,4) holds", "Use at most 14 digits before the point")
    if not exact:
        return "0.0000"
    return f"-{exact:.4f}" if negative else f"{exact:.4f}"


def date(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """An ISO date out of YYYY-MM-DD, MM/DD/YYYY, DD/MM/YYYY or YYYY-MM-DD HH:MM:SS, tried in that order.

    So 03/04/2025 is 4 March, and 25/12/2025 is 25 December.
    """
    written = plain(cell, rules)
    if not written:
        return None
    found = _read_date(written)
    if found is None:
        raise BadValue("it is not a date that can be read", "Write it as YYYY-MM-DD, or leave it blank")
    return found


CONVERTERS: Mapping[shapes.ColumnType, Converter] = {
    shapes.ColumnType.TEXT: text,
    shapes.ColumnType.LONG_TEXT: long_text,
    shapes.ColumnType.NUMBERS: number,
    shapes.ColumnType.DATE: date,
    shapes.ColumnType.STATUS: label,
    shapes.ColumnType.DROPDOWN: label,
}


def utf16_length(value: str) -> int:
    """Length as SQL Server and Monday.com count it: an emoji is two units."""
    return len(value) if value.isascii() else len(value.encode("utf-16-le", "surrogatepass")) // 2


def fit(value: str, *, staging: int | None, api: int | None) -> None:
    """Raise BadValue when a text is longer than its staging column or the API takes; None is no limit."""
    if staging is None and api is None:
        return
    length = utf16_length(value)
    if api is not None and length > api and (staging is None or api <= staging):
        raise BadValue(f"it has {length} characters and Monday.com takes {api}", "Shorten it")
    if staging is not None and length > staging:
        raise BadValue(f"it has {length} characters and its staging column holds {staging}", "Shorten it")


def _whole(cleaned: str) -> str:
    if not cleaned.isprintable() and _HALF_CHARACTER.search(cleaned):
        raise BadValue("it holds half a character (a lone surrogate)", "Type the text again")
    return cleaned


@functools.lru_cache(maxsize=4096)  # a season of orders shares a few hundred dates
def _read_date(written: str) -> str | None:
    candidates: list[tuple[int, int, int]] = []
    if found := _YEAR_FIRST.fullmatch(written):
        candidates = [(int(found[1]), int(found[2]), int(found[3]))]
    elif found := _SLASHED.fullmatch(written):
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        candidates = [(year, first, second), (year, second, first)]
    for candidate in candidates:
        try:
            return calendar_date(*candidate).isoformat()
        except ValueError:
            continue
    return None


def _without_signs(written: str, currency: tuple[str, ...]) -> tuple[bool, str]:
    """Whether a number is negative, and the rest of it without its sign and its currency or percent sign."""
    sign = written[:1] if written[0] in "+-" else ""
    bare = written[len(sign) :].lstrip() if sign else written
    if bare.endswith("%"):
        return sign == "-", bare[:-1].rstrip()
    for mark in currency:
        if bare.startswith(mark):
            bare = bare[len(mark) :].lstrip()
            if not sign and bare[:1] in ("+", "-"):
                sign, bare = bare[0], bare[1:]
            break
        if bare.endswith(mark):
            bare = bare[: -len(mark)].rstrip()
            break
    return sign == "-", bare
