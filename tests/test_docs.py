"""README.md and docs/: every link and every path that they name is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
LONGEST_README = 130

FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
# Folders of this repository: what begins with one of them, in backticks, is a path.
PATH = re.compile(r"(?:streams|connectors|schemas|mappings|sql|tests|benchmarks|deploy|docs)/[\w./-]*")


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page; a repeated heading gets a number."""
    found: dict[str, int] = {}
    names: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        times = found.get(slug, 0)
        found[slug] = times + 1
        names.add(f"{slug}-{times}" if times else slug)
    return names


def links(page: Path) -> Iterator[str]:
    """The relative links of a page. What stands in backticks is no link."""
    for target in LINK.findall(INLINE_CODE.sub("", prose(page))):
        if not re.match(r"[a-z][a-z+.-]*:", target):
            yield target


def paths(page: Path) -> Iterator[str]:
    """The paths in backticks: the whole text is one, but for the name of a test behind it."""
    for code in INLINE_CODE.findall(prose(page)):
        if PATH.fullmatch(code.partition("::")[0]):
            yield code.partition("::")[0]


def broken(page: Path, target: str, root: Path = ROOT) -> str | None:
    """What is wrong with a link, if anything is. It may not leave the repository."""
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    if not there.exists() or not there.is_relative_to(root):
        return f"{target}: no such file"
    if anchor and (there.suffix != ".md" or anchor not in anchors(there)):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_points_to_a_file_and_a_heading(page: Path) -> None:
    assert [wrong for target in links(page) if (wrong := broken(page, target)) is not None] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_in_backticks_exists(page: Path) -> None:
    assert [path for path in paths(page) if not (ROOT / path).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_every_decision_is_in_their_index() -> None:
    index = DOCS / "decisions" / "index.md"
    listed = {target.partition("#")[0] for target in links(index)}
    assert {page.name for page in index.parent.glob("*.md")} - {index.name} <= listed


def test_the_checks_find_what_they_are_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n## One two\n"
        "[a](gone.md) [b](#one-two-1) [c](#three) [d](https://example.com) `[e](code.md)`\n"
        "`streams/gone.py` `sql/` `streams/gone.py::test` `x streams/gone.py`\n"
        "```\n[f](fenced.md) `sql/fenced.sql`\n```\n"
    )
    assert anchors(page) == {"one-two", "one-two-1"}
    assert list(links(page)) == ["gone.md", "#one-two-1", "#three"]
    assert list(paths(page)) == ["streams/gone.py", "sql/", "streams/gone.py"]
    assert broken(page, "#one-two-1", tmp_path) is None
    assert broken(page, "#three", tmp_path) == "#three: no such heading"
    assert broken(page, "gone.md", tmp_path) == "gone.md: no such file"
    assert broken(page, "..", tmp_path) == "..: no such file"
