"""The names that can be quoted, and how."""

import pytest

from sql import identifiers

ODD_NAMES = [
    "CUSTOMER''S COLOUR CODE (CUSTOM FIELD) CUSTOMER PROVIDES THIS",
    "PROMO GROUP / CAMPAIGN (HOT 30/GLOBAL EDIT",
    "0",
    "S/M",
    "DROP",
    "USA ONLY LSTP 75% EX WORKS",
    'a "quoted" [one',
    "∆",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_name_is_quoted_as_it_is(name: str) -> None:
    assert identifiers.quote(name) == f"[{name}]"


def test_other_forms_double_their_own_quote() -> None:
    assert identifiers.double_quote('a"b') == '"a""b"'
    assert identifiers.literal("dbo.CUSTOMER''S") == "N'dbo.CUSTOMER''''S'"


def test_listed_takes_an_alias_and_a_suffix() -> None:
    assert identifiers.listed(["a", "b"], "s") == "s.[a], s.[b]"
    assert identifiers.listed(["a", "b"], suffix=" = ?") == "[a] = ?, [b] = ?"


@pytest.mark.parametrize("name", ["", "  ", "a]b", "a?", "{a}", "a\nb", "a\0b", "x" * 129, "😀" * 65])
def test_name_that_no_bracket_holds_is_refused(name: str) -> None:
    with pytest.raises(identifiers.Unusable, match="rename it"):
        identifiers.quote(name)


def test_longest_name_passes() -> None:
    assert identifiers.quote("😀" * 64) == f"[{'😀' * 64}]"


def test_names_of_one_table_differ_by_more_than_case() -> None:
    identifiers.check(["Order Qty", "ORDER_QTY", "30X30"])
    with pytest.raises(identifiers.Unusable, match=r"\[30X30\] and \[30x30\]"):
        identifiers.check(["30X30", "S", "30x30"])
