"""Loading: the bundled data is whole, and every mistake of a wrong one is told at once, with its line."""

import csv
import re
import shutil
from pathlib import Path

import pydantic
import pytest
import yaml

import mappings
from mappings import fingerprint, loading, values
from schemas import items
from schemas import mappings as shapes

CONTRACT = Path(__file__).parents[3] / "shared" / "contract"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled data, to be spoilt."""
    for name in ("board.yaml", "customers.csv", "values.csv"):
        shutil.copy(loading.BUNDLED / name, tmp_path / name)
    return tmp_path


def spoil(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(shapes.MappingError) as caught:
        mappings.load(folder)
    return list(caught.value.mistakes)


def test_the_bundled_mapping_is_read_once() -> None:
    mapping = mappings.load()
    assert mapping is mappings.load()
    assert mapping.board.board.removal is items.Removal.ARCHIVE
    assert len(mapping.board.columns) == 45


def test_a_copy_says_the_same(folder: Path) -> None:
    copy = mappings.load(folder)
    assert copy.board == mappings.load().board
    assert copy.customers == mappings.load().customers
    assert copy.rules == mappings.load().rules


def test_models_are_frozen() -> None:
    with pytest.raises(pydantic.ValidationError):
        mappings.load().board.board.id = "1"  # type: ignore[misc]


def test_every_key_is_quoted() -> None:
    def keys(node: yaml.Node) -> list[yaml.ScalarNode]:
        if isinstance(node, yaml.MappingNode):
            return [found for key, value in node.value for found in (key, *keys(value))]
        return [found for child in node.value for found in keys(child)] if isinstance(node.value, list) else []

    root = yaml.compose((loading.BUNDLED / "board.yaml").read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert root is not None
    found = keys(root)
    assert len(found) > 200
    assert [key.value for key in found if key.style != '"'] == []


def test_customers_are_those_of_the_contract() -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract is not beside this checkout")
    with (CONTRACT / "customer_aliases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            # The one settled difference: the seeds' example names the customer GREYSON CLOTHIERS.
            expected = "GREYSON CLOTHIERS" if row["canonical"] == "GREYSON" else row["canonical"]
            assert mappings.load().customers.canonical(row["alias"]) == expected


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (" greyson ", "GREYSON CLOTHIERS"),
        ("Greyson\u00a0Clothiers", "GREYSON CLOTHIERS"),
        ("GREYSON CLOTHIERS INC", "GREYSON CLOTHIERS INC"),
        ("New\tBrand ", "New Brand"),
        ("", ""),
        (" \u00a0", ""),
        ("NULL", ""),
        (None, ""),
    ],
)
def test_canonical(written: str | None, canonical: str) -> None:
    customers = mappings.load().customers
    assert customers.canonical(written) == canonical
    assert customers.canonical(canonical) == canonical


def test_every_mistake_of_every_file_is_told_at_once(folder: Path) -> None:
    spoil(
        folder / "board.yaml",
        ('"9200517329"', "9200517329"),
        ('"removal": "archive"', '"removal": "burn"'),
        ('"template": "{customer} {season}"', '"template": "{customer}"'),
        ('  "unknown": "UNKNOWN_SEASON"\n', ""),
        ('"before": "TOTAL QTY"', '"before": "UNIT OF MEASURE"'),
        ('"name": "Size {label}"', '"name": "Size {label"'),
        ('"name": 255', '"name": 0'),
        ('"id": "text_mkr5wya6"', '"id": "text_mkrh94rx"'),
        ('"type": "date", "source": "EX FACTORY DATE"', '"type": "day", "source": "EX FACTORY DATE"'),
        ('"source": "UNIT OF MEASURE", "staging": "UNIT OF MEASURE", "labels": "existing"',
         '"source": "UNIT OF MEASURE", "staging": "UNIT OF MEASURE", "labels": "create"'),
        ('"staging": "STYLE", "required": true, "labels": "create"', '"staging": "COLOR", "requierd": true'),
        ('{"list": "tariff rate"', '{"list": "tarif rate"'),
    )  # fmt: skip
    spoil(folder / "customers.csv", ("GREYSON,", "TITLE 9,"), ("BANDIT,BANDIT RUNNING", "BANDIT,"))
    spoil(folder / "values.csv", ("blank,nan,", "blank,nan,0"), ("order status,CANCELLED,CANCELLED\n", "x,y\n"))
    found = mistakes(folder)
    text = "\n".join(found)
    for words in (
        r"board\.yaml:5 board\.id: 9200517329 is not text: put it in double quotes",
        r"board\.yaml:8 board\.removal: 'burn' does not fit: .*'archive', 'delete' or 'keep'",
        r"board\.yaml:\d+ group\.template: it must contain \{customer\} and \{season\}",
        r"board\.yaml:\d+ group\.unknown: this key is missing: add it",
        r"board\.yaml:\d+ sizes: both markers are the same column",
        r"board\.yaml:\d+ subitem\.name: .*placeholder",
        r"board\.yaml:\d+ limits\.name: 0 does not fit: .*greater than 0",
        r"board\.yaml:\d+ columns\[3\]\.id: the column id 'text_mkrh94rx' is used by columns\[0\] already",
        r"board\.yaml:\d+ columns\[21\]\.type: 'day' does not fit",
        r"board\.yaml:\d+ columns\[15\]: status labels are never created",
        r"board\.yaml:\d+ columns\[11\]\.requierd: this key is not known",
        r"board\.yaml:\d+ columns\[14\]\.staging: the staging column 'COLOR' is used by columns\[11\] already",
        r"board\.yaml:\d+ columns\[39\]\.map\.list: values\.csv has no list 'tarif rate'",
        r"customers\.csv:\d+: 'TITLE 9' is listed already on line \d+",
        r"customers\.csv:\d+: an alias and its canonical name are both needed",
        r"values\.csv: no column uses the list 'tariff rate'",
        r"values\.csv:2: the list 'blank' only names values",
        r"values\.csv:\d+: 2 cells where 3 belong",
    ):
        assert re.search(words, text), words
    assert len(found) == 18
    lines = [int(line) for line in re.findall(r"^board\.yaml:(\d+) ", text, re.MULTILINE)]
    assert lines == sorted(lines)  # a person mends from top to bottom


def test_the_message_is_for_a_person(folder: Path) -> None:
    spoil(folder / "board.yaml", ('"9200517329"', "9200517329"))
    with pytest.raises(shapes.MappingError) as caught:
        mappings.load(folder)
    assert str(caught.value) == (
        "the mapping has 1 mistake:\n  - board.yaml:5 board.id: 9200517329 is not text: put it in double quotes"
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('{"list": "tariff rate"', '{"list": "tarif rate"', "(it has: order status, tariff rate)"),
        ('"transform": "customer", ', "", "no column holds the customer"),
        ('"title": "STYLE", "type"', '"transform": "customer", "title": "STYLE", "type"', "only one column can be"),
        ('"id": "text_mkr5wya6"', '"id": "name"', 'comes from "item_name"'),
        ('"removal": "archive"', '"removal": "archive"\n  "removal": "keep"', "given twice"),
        ('"removal": "archive"', '"removal": "archive"\n  no: "x"', "not text: put it in double quotes"),
        ('"labels": "existing"}\n  - {"id": "dropdown_mkr518fc"', '}\n  - {"id": "dropdown_mkr518fc"', "needs"),
        ('"staging": "PATTERN ID"}', '"staging": "PATTERN ID", "labels": "create"}', "has no labels"),
        ('"id": "record_uuid"', '"id": "record_uuid_of_the_row"', "key.id"),
        ('"dropdown_mkrak7qp"', '"numeric_mkra7j8e"', "the subitem column id"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_board(folder: Path, old: str, new: str, words: str) -> None:
    spoil(folder / "board.yaml", (old, new))
    assert words in "\n".join(mistakes(folder))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("board.yaml", "", "empty"),
        ("board.yaml", "- 1", "board.yaml:1: [1] does not fit"),
        ("board.yaml", '"board": {"id": \n', "board.yaml:2: not readable as YAML"),
        ("board.yaml", '"columns": [{"id": 1}, 2]', "columns[1]"),
        ("customers.csv", "alias,canonical\n", "has no rows"),
        ("customers.csv", "alias;canonical\nA;B\n", "first line must be alias,canonical"),
        ("customers.csv", 'alias,canonical\n"A,B\n', "not readable as CSV"),
        ("customers.csv", "alias,canonical\nA,B\nB,C\n", "is itself an alias of 'C'"),
        ("values.csv", "list,value,becomes\ncolours,RED,\n", "becomes nothing"),
        ("values.csv", "list,value,becomes\nblank,N/A,\nblank,n/a,\n", "already"),
        ("values.csv", "list,value,becomes\nblank,N/A,\nblank,\u200bn/a\u200b,\n", "already"),
        ("values.csv", "list,value,becomes\nspreadsheet error,#N/A,0\n", "only names values"),
        ("values.csv", "list,value,becomes\nspreadsheet error,N/A,\n", "does not begin with #"),
        ("values.csv", "list,value,becomes\nsuspicious date,1/1/1900,\n", "write it as YYYY-MM-DD"),
        ("customers.csv", "alias,canonical\nA,B\n\u200ba,B\n", "is listed already"),
    ],
)
def test_a_file_that_cannot_be_used(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    found = mistakes(folder)
    assert any(words in mistake for mistake in found), found
    assert all(mistake.startswith(("board.yaml", "customers.csv", "values.csv")) for mistake in found)


def test_a_list_that_nothing_uses(folder: Path) -> None:
    with (folder / "values.csv").open("a", encoding="utf-8") as file:
        file.write("colours,RED,ROUGE\n")
    (found,) = mistakes(folder)
    assert "no column uses the list 'colours'" in found


def test_files_that_are_missing_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "values.csv").write_bytes(b"\xff\xfe\x00")
    found = mistakes(tmp_path)
    assert len(found) == 3
    assert sum("there is no such file" in mistake for mistake in found) == 2
    assert "UTF-8" in found[2]


def test_a_byte_order_mark_does_no_harm(folder: Path) -> None:
    path = folder / "customers.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert mappings.load(folder).customers == mappings.load().customers


def test_words_and_signs_come_from_the_data(folder: Path) -> None:
    spoil(folder / "values.csv", ("blank,nan,", "blank,To Be Done,"), ("currency,$,", "currency,US$,"))
    rules = mappings.load(folder).rules
    assert values.text(" to be DONE ", rules) is None
    assert values.text("nan", rules) == "nan"
    assert values.number("US$12.5", rules) == "12.5000"
    with pytest.raises(values.BadValue):
        values.number("$12.5", rules)


def test_the_business_key_of_adopt_names_columns_and_changes_no_conversion(folder: Path) -> None:
    chosen = '"adopt": {"business_key": ["text_mkr5ej2x", "STYLE"]}'
    spoil(folder / "board.yaml", ('"groups":', f'{chosen}\n"groups":'))
    read = loading.load(folder)
    assert [column.title for column in read.board.business_key] == ["STYLE", "PO NUMBER"]
    assert fingerprint.fingerprint(read) == fingerprint.fingerprint(loading.load())
    spoil(folder / "board.yaml", (chosen, chosen.replace("STYLE", "STYLES")))
    (mistake,) = mistakes(folder)
    assert "no column has the title or id 'STYLES' of \"adopt\"" in mistake
