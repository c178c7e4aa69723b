"""Converters: what is read exactly is kept exactly, and anything else is refused in words."""

import datetime
import decimal
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mappings
from mappings import values
from schemas import orders

# The same examples in every run, and no deadline: the machine may be busy.
SEEDED = settings(derandomize=True, deadline=None)
RULES = mappings.load().rules
FITS = st.decimals(min_value=Decimal("-99999999999999.9999"), max_value=Decimal("99999999999999.9999"), places=4)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("28.86", "28.8600"),
        (12, "12.0000"),
        (-3, "-3.0000"),
        ("007.50", "7.5000"),
        ("5.", "5.0000"),
        (".5", "0.5000"),
        ("+5", "5.0000"),
        ("-0", "0.0000"),
        ("-0.00001", "0.0000"),
        ("1E-05", "0.0000"),
        ("2.5e3", "2500.0000"),
        ("0e999", "0.0000"),
        ("0.00005", "0.0000"),  # half-even
        ("0.00015", "0.0002"),
        ("2.8860000000000001", "2.8860"),
        ("$1,234.50", "1234.5000"),
        ("€ 12", "12.0000"),
        ("12 €", "12.0000"),
        ("-$5", "-5.0000"),
        ("$-5", "-5.0000"),
        ("10 %", "10.0000"),
        ("1,234,567.8", "1234567.8000"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("nan", None),
        (" NULL ", None),
        ("\u00a0", None),
        ("\u200b\ufeff", None),
        ("\u200e$\u200b1,234.50\u200b", "1234.5000"),
        ("", None),
        (None, None),
    ],
)
def test_number(written: str | int | None, canonical: str | None) -> None:
    assert values.number(written, RULES) == canonical


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("12,50", "comma"),
        ("0,123", "comma"),  # a decimal comma, not 123
        ("1,2345", "comma"),
        ("1234,567", "comma"),
        ("1.234,50", "comma"),
        ("TBC", "not a number"),
        ("FOB AIR 2.50 SEA", "not a number"),
        ("TRUE", "not a number"),
        ("1.2.3", "not a number"),
        ("-$-5", "not a number"),
        ("$5$", "not a number"),
        ("$5%", "not a number"),
        ("(5)", "not a number"),
        ("5-", "not a number"),
        ("$", "not a number"),
        ("%", "not a number"),
        ("-", "not a number"),
        ("inf", "not a number"),
        ("1_000", "not a number"),
        ("\u0661\u0662", "not a number"),  # digits of another script
        ("100000000000000", "larger"),
        ("99999999999999.99995", "larger"),  # only after rounding
        ("1e999", "larger"),
    ],
)
def test_number_refused(written: str, reason: str) -> None:
    with pytest.raises(values.BadValue, match=reason):
        values.number(written, RULES)


@SEEDED
@given(FITS, st.sampled_from(["{}", " {} ", "${}", "{}€", "{}%", "{:,}", "$ {:,}"]))
def test_number_keeps_every_digit(exact: Decimal, form: str) -> None:
    canonical = values.number(form.format(exact), RULES)
    assert canonical is not None
    assert Decimal(canonical) == exact
    assert values.number(canonical, RULES) == canonical


@SEEDED
@given(st.decimals(min_value=-(10**13), max_value=10**13, allow_nan=False))
def test_number_rounds_as_decimal_does(exact: Decimal) -> None:
    with decimal.localcontext(prec=60):
        rounded = exact.quantize(Decimal("0.0001"), rounding=decimal.ROUND_HALF_EVEN)
    canonical = values.number(f"{exact:f}", RULES)
    assert canonical is not None
    assert Decimal(canonical) == rounded


@SEEDED
@given(st.text() | st.text(alphabet="0123456789.,-+$%eE ", max_size=24))
def test_number_is_canonical_or_refused(written: str) -> None:
    try:
        canonical = values.number(written, RULES)
    except values.BadValue as bad:
        # Not every text is refused, so there is no pytest.raises.
        assert bad.reason  # noqa: PT017
        assert bad.advice  # noqa: PT017
    else:
        assert canonical is None or re.fullmatch(r"(?!-0\.0000)-?(0|[1-9][0-9]{0,13})\.[0-9]{4}", canonical)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2025-05-20", "2025-05-20"),
        ("2025-5-2", "2025-05-02"),
        ("05/20/2025", "2025-05-20"),
        ("2025-05-20 23:59:59", "2025-05-20"),
        ("2025-05-20T23:59:59.5", "2025-05-20"),
        # As pandas, SQLAlchemy, numpy, SQL Server, JavaScript and spreadsheets write a date.
        ("2025-03-04 00:00:00.000000", "2025-03-04"),
        ("2025-03-04T00:00:00", "2025-03-04"),
        ("2025-03-04T00:00:00.000", "2025-03-04"),
        ("2025-03-04T00:00:00.000000000", "2025-03-04"),
        ("2025-03-04 00:00:00.0000000 +00:00", "2025-03-04"),
        ("2025-03-04T00:00:00Z", "2025-03-04"),
        ("2025-03-04T00:00:00.000+00:00", "2025-03-04"),
        ("2025-03-04 00:00", "2025-03-04"),
        ("3/4/2025 0:00:00", "2025-03-04"),
        ("\u200b2025-03-04\ufeff", "2025-03-04"),
        ("\u200e", None),
        (" 2024-02-29\t", "2024-02-29"),
        ("None", None),
    ],
)
def test_date(written: str, canonical: str | None) -> None:
    assert values.date(written, RULES) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "2025-02-30",
        "13/13/2025",
        "2025-05-20 24:00:00",
        "2025-05-20T23:00:00Z",  # another day in some zones
        "2025-05-20T00:00:00+05:30",
        "2025-05-20T",
        "2025-05-20 00",
        "2025-05-20 00:00:00.",
        "2025-02-30T00:00:00",
        "20250520",
        "2025-W21-2",
        "5/20/25",
        "20.05.2025",
        45797,
    ],
)
def test_date_refused(written: str | int) -> None:
    with pytest.raises(values.BadValue, match="not a date"):
        values.date(written, RULES)


@SEEDED
@given(st.dates(), st.sampled_from(["{0:04}-{1:02}-{2:02}", "{1}/{2}/{0:04}", "{0:04}-{1}-{2} 00:00:00"]))
def test_date_is_read_back(day: datetime.date, form: str) -> None:
    assert values.date(form.format(day.year, day.month, day.day), RULES) == day.isoformat()


@pytest.mark.parametrize(
    ("written", "line", "lines"),
    [
        ("  a b\u00a0", "a b", "a b"),
        ("a\r\nb", "a b", "a\nb"),
        ("a\rb\nc", "a b c", "a\nb\nc"),
        ("a\t\x00\x85b", "a b", "a b"),
        ("\n a \n", "a", "a"),
        ("NaN", None, None),
        ("\tnull\n", None, None),
        ("none of these", "none of these", "none of these"),
        ("\ufeff a\u200bb \u00ad\u200f", "a\u200bb", "a\u200bb"),  # inside a text they stay
        ("\u200b\n \u200d", None, None),
        ("\u200bnull\u200b", None, None),
        ("\u200ba\n\u200bb\n", "a \u200bb", "a\n\u200bb"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("a # in it", "a # in it", "a # in it"),
        ("#N/A is written", "#N/A is written", "#N/A is written"),
        ('quote " and \\', 'quote " and \\', 'quote " and \\'),
        (7, "7", "7"),
        (0, "0", "0"),
    ],
)
def test_text(written: str | int, line: str | None, lines: str | None) -> None:
    assert values.text(written, RULES) == values.label(written, RULES) == line
    assert values.long_text(written, RULES) == lines


@SEEDED
@given(st.text())
def test_text_is_clean_and_stays_so(written: str) -> None:
    for convert in (values.text, values.long_text):
        cleaned = convert(written, RULES)
        assert convert(cleaned, RULES) == cleaned
        assert cleaned is None or cleaned == cleaned.strip()
        inner = (cleaned or "").replace("\n", "") if convert is values.long_text else cleaned or ""
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", inner)


@pytest.mark.parametrize("written", sorted(RULES.spreadsheet_errors))
def test_the_error_of_a_spreadsheet_is_refused(written: str) -> None:
    assert len(RULES.spreadsheet_errors) >= 10
    for convert in values.CONVERTERS.values():
        for spelling in (written, written.upper(), f" \u200b{written}\n"):
            with pytest.raises(values.BadValue, match="error of a spreadsheet") as refused:
                convert(spelling, RULES)
            assert refused.value.severity is orders.Severity.ERROR


@pytest.mark.parametrize("written", ["1900-01-01", "01/01/1900", "1900-01-01T00:00:00", "0001-01-01", "1899-12-30"])
def test_a_date_that_stands_for_none_is_a_warning(written: str) -> None:
    with pytest.raises(values.BadValue, match="no date") as warned:
        values.date(written, RULES)
    assert warned.value.severity is orders.Severity.WARNING
    assert values.date("1900-01-02", RULES) == "1900-01-02"


@pytest.mark.parametrize("convert", [values.text, values.long_text])
def test_half_a_character_is_refused(convert: values.Converter) -> None:
    with pytest.raises(values.BadValue, match="surrogate"):
        convert("a\ud83d\n", RULES)


@pytest.mark.parametrize(
    ("staging", "api", "reason"),
    [
        (5, None, "staging column takes 5"),
        (None, 5, "Monday.com takes 5"),
        (5, 4, "takes 4"),
        (4, 5, "takes 4"),
    ],
)
def test_fit_names_the_smaller_limit(staging: int | None, api: int | None, reason: str) -> None:
    with pytest.raises(values.BadValue, match=reason):
        values.fit("😀😀😀", staging=staging, api=api)
    values.fit("😀😀", staging=staging, api=api)


def test_a_long_value_is_cut_in_the_problem_only() -> None:
    with pytest.raises(values.BadValue) as caught:
        values.fit("x" * 4100, staging=None, api=2000)
    problem = caught.value.problem("NOTES", "x" * 4100)
    assert problem.value is not None
    assert len(problem.value) < 200
    assert "4100" in problem.value
    assert "2000" in str(problem)
