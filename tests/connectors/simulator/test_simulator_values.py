"""The shape of a value per column type: what is written, what reads back, what is refused."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.simulator import config, labels, seed, store, values
from tests.connectors.simulator.conftest import Api, Start


class Fixed:
    """Two labels, and no others."""

    known: ClassVar = {"PCE": 1, "PAIR": 2}

    def id_of(self, label: str) -> int:
        if label not in self.known:
            raise values.Invalid("no such label")
        return self.known[label]

    def label_of(self, label_id: int) -> str:
        if label_id not in self.known.values():
            raise values.Invalid("no such id")
        return next(label for label, known_id in self.known.items() if known_id == label_id)


def _convert(column_type: str, sent: Any) -> store.Cell | None:
    return values.convert(store.Column(1, "c", "C", column_type), sent, Fixed())


@pytest.mark.parametrize(
    ("column_type", "sent", "value", "text"),
    [
        ("text", "abc", '"abc"', "abc"),
        ("text", "", '""', ""),
        ("long_text", {"text": "a\nb"}, '{"text":"a\\nb"}', "a\nb"),
        ("long_text", {"text": "x" * 2_000}, '{"text":"' + "x" * 2_000 + '"}', "x" * 2_000),
        ("numbers", "42.5", '"42.5"', "42.5"),
        ("numbers", "-1", '"-1"', "-1"),
        ("numbers", "", '"0"', "0"),
        ("date", {"date": "2026-06-15"}, '{"date":"2026-06-15"}', "2026-06-15"),
        (
            "date",
            {"date": "2026-06-15", "time": "09:30:00"},
            '{"date":"2026-06-15","time":"09:30:00"}',
            "2026-06-15 09:30",
        ),
        ("status", {"label": "PCE"}, '{"index":1}', "PCE"),
        ("status", {"index": 2}, '{"index":2}', "PAIR"),
        ("dropdown", {"labels": ["PAIR", "PCE"]}, '{"ids":[2,1]}', "PAIR, PCE"),
        ("dropdown", {"ids": [1]}, '{"ids":[1]}', "PCE"),
        ("checkbox", {"checked": "true"}, '{"checked":true}', "v"),
        (
            "country",
            {"countryCode": "US", "countryName": "United States"},
            '{"countryCode":"US","countryName":"United States"}',
            "United States",
        ),
        ("email", {"email": "a@b.co", "text": "A"}, '{"email":"a@b.co","text":"A"}', "A"),
        ("link", {"url": "https://a.b", "text": "A"}, '{"url":"https://a.b","text":"A"}', "A - https://a.b"),
        (
            "phone",
            {"phone": "+12025550169", "countryShortName": "US"},
            '{"phone":"+12025550169","countryShortName":"US"}',
            "+12025550169",
        ),
        (
            "timeline",
            {"from": "2026-03-01", "to": "2026-03-15"},
            '{"from":"2026-03-01","to":"2026-03-15"}',
            "2026-03-01 - 2026-03-15",
        ),
        (
            "people",
            {"personsAndTeams": [{"id": 1, "kind": "person"}]},
            '{"personsAndTeams":[{"id":1,"kind":"person"}]}',
            "Simulator",
        ),
        ("board_relation", {"item_ids": [7]}, '{"linkedPulseIds":[{"linkedPulseId":7}]}', ""),
    ],
)
def test_a_value_reads_back(column_type: str, sent: Any, value: str, text: str) -> None:
    cell = _convert(column_type, sent)
    assert cell is not None
    assert (cell.value, cell.text) == (value, text)


@pytest.mark.parametrize("column_type", sorted(values.CONVERTERS))
def test_null_clears_every_writable_type(column_type: str) -> None:
    assert _convert(column_type, None) is None


@pytest.mark.parametrize("sent", [{"labels": []}, {"ids": []}])
def test_an_empty_choice_clears(sent: Any) -> None:
    assert _convert("dropdown", sent) is None


@pytest.mark.parametrize(
    ("column_type", "sent"),
    [
        ("text", {"text": "abc"}),
        ("text", 5),
        ("long_text", "abc"),
        ("long_text", {"text": "x" * 2_001}),
        ("numbers", 42.5),
        ("numbers", "12,50"),
        ("numbers", "1e3"),
        ("numbers", "NaN"),
        ("date", "2026-06-15"),
        ("date", {"date": "2026-02-30"}),
        ("date", {"date": "15.06.2026"}),
        ("date", {"date": "2026-06-15", "time": "25:00:00"}),
        ("date", {"date": "2026-06-15", "zone": "UTC"}),
        ("status", "PCE"),
        ("status", {"label": "DOZEN"}),
        ("status", {"label": ""}),
        ("status", {"label": "7"}),
        ("status", {"label": "x" * 31}),
        ("status", {"index": 9}),
        ("status", {"index": True}),
        ("dropdown", {"labels": "PCE"}),
        ("dropdown", {"labels": [" "]}),
        ("dropdown", {"labels": ["DOZEN"]}),
        ("dropdown", {"ids": ["1"]}),
        ("dropdown", {"labels": ["PCE"], "ids": [1]}),
        ("checkbox", {"checked": True}),
        ("checkbox", {"checked": "false"}),
        ("country", {"countryCode": "US"}),
        ("country", {"countryCode": "usa", "countryName": "United States"}),
        ("email", {"email": "a@b.co"}),
        ("email", {"email": "nobody", "text": "x"}),
        ("link", {"url": "a.b", "text": "x"}),
        ("phone", {"phone": "call me", "countryShortName": "US"}),
        ("timeline", {"from": "2026-03-15", "to": "2026-03-01"}),
        ("people", {"personsAndTeams": [{"id": 1, "kind": "robot"}]}),
        ("board_relation", {"linkedPulseIds": [1]}),
        ("board_relation", {"item_ids": list(range(751))}),
        *((column_type, "x") for column_type in sorted(values.READ_ONLY)),
        ("mirror", None),
    ],
)
def test_a_wrong_shape_is_refused(column_type: str, sent: Any) -> None:
    with pytest.raises(values.Invalid) as refused:
        _convert(column_type, sent)
    assert refused.value.code == "ColumnValueException"


def test_a_user_who_is_not_on_the_board_has_a_code_of_its_own() -> None:
    with pytest.raises(values.Invalid) as refused:
        _convert("people", {"personsAndTeams": [{"id": 2, "kind": "person"}]})
    assert refused.value.code == "InvalidUserIdException"


def test_every_column_of_the_boards_is_either_writable_or_read_only(tmp_path: Path) -> None:
    state = store.Store(tmp_path / "board.sqlite")
    seed.seed(state, config.Config(state=tmp_path / "board.sqlite"))
    types = {column.type for columns in state.columns.values() for column in columns.values()}
    state.close()
    assert types <= set(values.CONVERTERS) | values.READ_ONLY | {"name"}


async def test_labels_are_made_only_when_the_mutation_says_so(api: Api) -> None:
    column = "dropdown_mkr5tgaa"
    assert (await api.create(columns={column: {"labels": ["S/M"]}})).codes == ["ColumnValueException"]
    assert (await api.create(columns={column: {"labels": ["S/M"]}}, labels=True)).codes == []
    assert (await api.create(columns={column: {"labels": ["S/M"]}})).codes == []
    assert (await api.create(columns={column: {"labels": ["S-M"]}})).codes == ["ColumnValueException"]


async def test_a_dropdown_holds_so_many_labels_and_no_more(start: Start) -> None:
    api = await start(dropdown_labels=3)
    column = "dropdown_mkr5tgaa"
    assert (await api.create(columns={column: {"labels": ["a", "b", "c"]}}, labels=True)).codes == []
    assert (await api.create(columns={column: {"labels": ["d"]}}, labels=True)).codes == ["ColumnValueException"]
    assert (await api.create(columns={column: {"labels": ["c"]}}, labels=True)).codes == []


async def test_a_status_holds_40_labels(api: Api) -> None:
    column = "color_mkr5yf27"
    for number in range(36):  # four are there from the start
        reply = await api.create(columns={column: {"label": f"UNIT {number}"}}, labels=True)
        assert reply.codes == []
    reply = await api.create(columns={column: {"label": "ONE TOO MANY"}}, labels=True)
    assert reply.codes == ["ColumnValueException"]


def test_labels_differ_by_their_exact_text(tmp_path: Path) -> None:
    state = store.Store(tmp_path / "board.sqlite")
    state.add_board(store.Board(1, "b", None))
    column = store.Column(1, "c", "C", "dropdown")
    known = labels.Labels(state, column, limit=10)
    ids = [known.id_of(label) for label in ("O/S", "OS", "os", "O/S")]
    assert ids == [1, 2, 3, 1]
    state.close()
