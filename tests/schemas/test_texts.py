"""Texts: what is trimmed, and what a cut keeps."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import texts

SEEDED = settings(derandomize=True, deadline=None)
INVISIBLE = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cf"]
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
CODER = "\U0001f469\u200d\U0001f4bb"
# Texts with many margins, and characters of two units.
TEXTS = st.text(
    st.sampled_from(["a", " ", "\u00a0", "\u200b", "\ufeff", "\n", "\x00", "\U0001f600", "\u00e9", *ENGLAND])
)


def test_every_invisible_character_is_trimmed() -> None:
    assert len(INVISIBLE) > 150
    for character in INVISIBLE:
        assert texts.trimmed(f"{character} a{character}b {character}") == f"a{character}b"
        assert texts.trimmed(f" {character}\n") == ""


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("\ufeffPO 4755\u200b", "PO 4755"),
        ("\u200b\u00a0 \u00ad", ""),
        (f" {CODER}\u200d", CODER),
        (f"{ENGLAND}\u200b", ENGLAND),
        ("a" + ENGLAND[1:], "a"),  # tags without their flag
        (f"{ENGLAND}{ENGLAND[1:]}", ENGLAND),
    ],
)
def test_trimmed(raw: str, kept: str) -> None:
    assert texts.trimmed(raw) == kept


@SEEDED
@given(st.text() | TEXTS)
def test_trimming_again_changes_nothing_and_takes_the_ends_alone(raw: str) -> None:
    kept = texts.trimmed(raw)
    assert texts.trimmed(kept) == kept
    assert kept in raw
    assert kept.strip() == kept


@SEEDED
@given(st.text(st.characters()) | TEXTS)
def test_length_is_in_utf16_units(raw: str) -> None:
    assert texts.length(raw) == sum(2 if ord(character) > 0xFFFF else 1 for character in raw)


@SEEDED
@given(TEXTS, st.integers(0, 12))
def test_a_cut_is_the_longest_beginning_that_fits(raw: str, longest: int) -> None:
    whole, kept = texts.trimmed(raw), texts.cut(raw, longest)
    fitting = [whole[:n] for n in range(len(whole) + 1) if texts.length(whole[:n]) <= longest]
    assert kept == texts.trimmed(fitting[-1])
    assert texts.cut(kept, longest) == kept


def test_white_space_takes_no_place_of_a_text() -> None:
    assert texts.cut(" " * 50 + "\u200bPO 4755", 7) == "PO 4755"


def test_what_is_shortened_says_its_true_length() -> None:
    assert texts.shortened("  abc ", 3) == "abc"
    assert texts.shortened("ab\U0001f600", 3) == "ab… (4 characters)"
    assert texts.shortened("abcd", 4, whole=9) == "abcd… (9 characters)"
