"""Converts one source cell to its canonical form: text, a number with four places, an ISO date; None when blank.

No conversion guesses: a value without an exact reading raises BadValue with a reason and an advice.
"""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date as calendar_date
from decimal import ROUND_HALF_EVEN, Context, Decimal

from schemas import mappings as shapes
from schemas import orders, texts
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

_YEAR_FIRST = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_SLASHED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
# 00:00, 00:00:00, 00:00:00.000000; the zone that may follow is UTC.
_TIME = re.compile(
    r"(?P<day>[^ T]+)[ T](?P<time>(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?)"
    r"(?P<zone> ?(?:Z|[+-]00:?00))?"
)
_MIDNIGHT = re.compile(r"[0:.]+")

Converter = Callable[[Cell, shapes.ValueRules], str | None]

_SHOWN = 120  # a longer value is cut in messages; the whole of it stays with the original row


class BadValue(ValueError):
    """A value that sync must not send. A WARNING omits only this value, an ERROR refuses its order."""

    def __init__(self, reason: str, advice: str, severity: orders.Severity = orders.Severity.ERROR) -> None:
        super().__init__(f"{reason}. {advice}")
        self.reason = reason
        self.advice = advice
        self.severity = severity

    def problem(self, column: str, cell: Cell, *, length: int | None = None) -> orders.Problem:
        """The problem of one cell of a row, with this reason and advice.

        A long text is shown cut, with its length in UTF-16 units: `length`, where the cell has only its beginning.
        """
        # UTF-8 cannot encode half a character, and the problem must reach the ERR row.
        shown = None if cell is None else _HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", str(cell))
        if shown is not None and (length is not None or len(shown) > _SHOWN):
            shown = texts.shortened(shown, _SHOWN, length)
        return orders.Problem(
            column=column, value=shown, reason=self.reason, advice=self.advice, severity=self.severity
        )


def clean(raw: str) -> str:
    """The text trimmed (see texts.trimmed), with each run of control characters as one space."""
    return texts.trimmed(raw if raw.isprintable() else _CONTROL.sub(" ", raw))


def key(raw: str) -> str:
    """The key of a word in a value map: without case and spaces."""
    return "".join(texts.trimmed(raw).split()).casefold()


def plain(cell: Cell, rules: shapes.ValueRules) -> str:
    """One line of trimmed text; "" for NULL, a text without a visible character, or a word that means blank."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    cleaned = clean(str(cell))
    return "" if cleaned.casefold() in rules.blank else cleaned


def is_blank(cell: Cell, rules: shapes.ValueRules) -> bool:
    """Is the cell blank? 0 is not."""
    return not plain(cell, rules)


def text(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """One line of text; None when blank. Raises BadValue for the error of a spreadsheet and for half a character."""
    return _whole(plain(cell, rules), rules) or None


def long_text(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """Text with its inner newlines, each as a line feed; None when blank. Raises as `text` does."""
    if not isinstance(cell, str) or cell.isprintable():
        return text(cell, rules)
    cleaned = texts.trimmed(_CONTROL_BUT_NEWLINE.sub(" ", _NEWLINE.sub("\n", cell)))
    return None if cleaned.casefold() in rules.blank else _whole(cleaned, rules) or None


def label(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """The label as one line of text, with its case and punctuation; None when blank."""
    return text(cell, rules)


def number(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """A number that fits DECIMAL(18,4), as text with four places: "28.8600".

    One currency sign (before or after), one percent sign and correct thousands separators are removed. More than four
    decimals are rounded half-even. Raises BadValue for any other text.
    """
    written = text(cell, rules)
    if written is None:
        return None
    if _PLAIN_NUMBER.fullmatch(written):  # nearly all cells: exact without arithmetic
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
        raise BadValue("it is larger than DECIMAL(18,4) allows", "Use at most 14 digits before the point")
    if not exact:
        return "0.0000"
    return f"-{exact:.4f}" if negative else f"{exact:.4f}"


def date(cell: Cell, rules: shapes.ValueRules) -> str | None:
    """An ISO date from YYYY-MM-DD, MM/DD/YYYY or DD/MM/YYYY, tried in that order: 03/04/2025 is 4 March.

    A time of day may follow, after a space or T: HH:MM, with seconds, with a fraction of them. With a zone behind it,
    which has to be UTC, only a time of zero is read, because any other is another day elsewhere. Raises BadValue for
    any other text, and a WARNING for a date that stands for "none", such as 1900-01-01.
    """
    written = text(cell, rules)
    if written is None:
        return None
    iso = _read_date(written)
    if iso is None:
        raise BadValue("it is not a date that can be read", "Write it as YYYY-MM-DD, or leave it blank")
    if iso in rules.suspicious_dates:
        raise BadValue(
            "programs write this date where there is none",
            "The board shows no date; leave it blank, or write the true date",
            orders.Severity.WARNING,
        )
    return iso


CONVERTERS: Mapping[shapes.ColumnType, Converter] = {
    shapes.ColumnType.TEXT: text,
    shapes.ColumnType.LONG_TEXT: long_text,
    shapes.ColumnType.NUMBERS: number,
    shapes.ColumnType.DATE: date,
    shapes.ColumnType.STATUS: label,
    shapes.ColumnType.DROPDOWN: label,
}


def fit(value: str, *, staging: int | None, api: int | None) -> None:
    """Raise BadValue when a text exceeds the limit of its staging column or of the API; None is no limit."""
    # A character has at most two units: the exact length is needed for few texts.
    most = 2 * len(value)
    if (staging is None or most <= staging) and (api is None or most <= api):
        return
    length = texts.length(value)
    if api is not None and length > api and (staging is None or api <= staging):
        raise BadValue(f"it has {length} characters and Monday.com takes {api}", "Shorten it")
    if staging is not None and length > staging:
        raise BadValue(f"it has {length} characters and its staging column takes {staging}", "Shorten it")


def refuse_error(written: str, rules: shapes.ValueRules) -> None:
    """Raise BadValue when a text is the error of a spreadsheet, such as #N/A: its cell holds no value."""
    if written[:1] == "#" and written.casefold() in rules.spreadsheet_errors:
        raise BadValue("it is the error of a spreadsheet", "Correct the formula that it comes from, or leave it blank")


def _whole(cleaned: str, rules: shapes.ValueRules) -> str:
    refuse_error(cleaned, rules)
    if not cleaned.isprintable() and _HALF_CHARACTER.search(cleaned):
        raise BadValue("it contains half a character (a lone surrogate)", "Type the text again")
    return cleaned


@functools.lru_cache(maxsize=4096)  # a season of orders shares a few hundred dates
def _read_date(written: str) -> str | None:
    if with_time := _TIME.fullmatch(written):
        if with_time["zone"] and not _MIDNIGHT.fullmatch(with_time["time"]):
            return None
        written = with_time["day"]
    candidates: list[tuple[int, int, int]] = []
    if match := _YEAR_FIRST.fullmatch(written):
        candidates = [(int(match[1]), int(match[2]), int(match[3]))]
    elif match := _SLASHED.fullmatch(written):
        first, second, year = int(match[1]), int(match[2]), int(match[3])
        candidates = [(year, first, second), (year, second, first)]
    for candidate in candidates:
        try:
            return calendar_date(*candidate).isoformat()
        except ValueError:
            continue
    return None


def _without_signs(written: str, currency: tuple[str, ...]) -> tuple[bool, str]:
    """Is the number negative? And its digits without sign, currency sign and percent sign."""
    sign = written[:1] if written[0] in "+-" else ""
    bare = texts.trimmed(written[len(sign) :]) if sign else written
    if bare.endswith("%"):
        return sign == "-", texts.trimmed(bare[:-1])
    for mark in currency:
        if bare.startswith(mark):
            bare = texts.trimmed(bare[len(mark) :])
            if not sign and bare[:1] in ("+", "-"):
                sign, bare = bare[0], bare[1:]
            break
        if bare.endswith(mark):
            bare = texts.trimmed(bare[: -len(mark)])
            break
    return sign == "-", bare
