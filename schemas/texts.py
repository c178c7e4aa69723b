"""Text as every place trims, measures and cuts it.

Lengths are in UTF-16 units, as SQL Server and Monday.com count them: an emoji has two. What is cut is trimmed first, so
that white space never takes the place of text.
"""

import re
import unicodedata

# A flag such as 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ends in invisible tag characters that belong to it.
_TAGGED_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")


def trimmed(raw: str) -> str:
    """The text without white space, control characters and invisible characters (Unicode Cf) at its ends.

    A no-break space is white space; a zero-width space or joiner, a byte order mark, a soft hyphen and a bidi mark are
    invisible. Inside a text, and inside an emoji at its end, they stay.
    """
    if raw.isprintable():  # nearly all texts: the space is the only printable character that is trimmed
        return raw.strip(" ")
    start, end = 0, len(raw)
    while start < end and _is_margin(raw[start]):
        start += 1
    while end > start and _is_margin(raw[end - 1]):
        end -= 1
    if end > start and (flag := _TAGGED_FLAG.match(raw, end - 1)):
        end = flag.end()
    return raw[start:end]


def length(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, longest: int) -> str:
    """The trimmed text, at most `longest` UTF-16 units of it, and never half a character. The result is trimmed too."""
    whole = trimmed(text)
    if len(whole) * 2 <= longest or length(whole) <= longest:
        return whole
    begins = whole[:longest]
    while (excess := length(begins) - longest) > 0:
        begins = begins[: -((excess + 1) // 2)]  # a character has one unit or two
    return trimmed(begins)


def shortened(text: str, longest: int, whole: int | None = None) -> str:
    """`cut`, with the length of the trimmed text behind it where that is longer: "aaaa… (250000 characters)".

    `whole` is that length where `text` is only the beginning.
    """
    begins = cut(text, longest)
    if whole is None:
        whole = length(trimmed(text))
    return begins if whole <= longest else f"{begins}… ({whole} characters)"


def _is_margin(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cc", "Cf")
