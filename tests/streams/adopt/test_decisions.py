"""The file of ambiguous items, and a person's decisions in it."""

from pathlib import Path

import pytest

from connectors import errors
from streams.adopt import decisions
from streams.adopt.matching import Ambiguity, Decided, Reason

ONE, OTHER = "00000000-0000-4000-8000-00000000000A", "00000000-0000-4000-8000-00000000000B"


def file(folder: Path, *lines: str) -> Path:
    path = folder / "decided.csv"
    path.write_text("\n".join(["record_uuid,item_id,reason,decision", *lines]))
    return path


def test_what_was_written_is_read_back_undecided(tmp_path: Path) -> None:
    path = tmp_path / "ambiguous.csv"
    decisions.write(path, [Ambiguity(ONE, "1", Reason.SEVERAL_ITEMS)])
    assert decisions.read(path) == Decided({}, frozenset())
    assert path.read_text("utf-8-sig").splitlines()[1] == f"{ONE},1,several items for one order,"


def test_decisions_in_any_spelling(tmp_path: Path) -> None:
    path = file(tmp_path, f"{ONE.lower()}, 1 ,,Adopt", f"{{{ONE}}},2,,LEAVE ", f"{OTHER},3,,")
    assert decisions.read(path) == Decided({ONE: "1"}, frozenset({(ONE, "2")}))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([f"{ONE},1,,yes"], "line 2: the decision is 'yes': write adopt or leave"),
        ([f"{ONE},,,adopt"], "line 2: a decision needs a record_uuid and an item_id"),
        (["POLO,1,,leave"], "line 2: a decision needs"),
        ([f"{ONE},1,,adopt", f"{ONE},2,,adopt"], f"line 3: order {ONE} gets two items, 1 and 2"),
        ([f"{ONE},1,,adopt", f"{OTHER},1,,adopt"], "line 3: item 1 is adopted for two orders"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, lines: list[str], text: str) -> None:
    with pytest.raises(errors.Misconfigured, match=text):
        decisions.read(file(tmp_path, *lines))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    for content, text in ((b"a,b\n1,2\n", "no column record_uuid"), (b"\xff\xfe\x00", "no CSV file in UTF-8")):
        path.write_bytes(content)
        with pytest.raises(errors.Misconfigured, match=text):
            decisions.read(path)
    with pytest.raises(errors.Misconfigured, match="No such file"):
        decisions.read(tmp_path / "absent.csv")
