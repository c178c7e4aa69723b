"""What changed on a board, out of answers as the API may give them; and when that cannot be determined."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.monday import changes
from tests.connectors.monday.test_board import Data, Script, see

SINCE = datetime(2026, 12, 1, 10, tzinfo=UTC)


def item(number: int, at: str = "2026-12-01T10:30:00Z", parent: str | None = None) -> Data:
    return {"id": str(number), "updated_at": at, "parent_item": None if parent is None else {"id": parent}}


def line(event: str, entity: str = "pulse", **data: Any) -> Data:
    return {"event": event, "entity": entity, "data": json.dumps(data)}


def board(items: list[Data], lines: list[Data] | None = None, cursor: str | None = None, **more: Any) -> Data:
    page = {"cursor": cursor, "items": items}
    outline = {"items_count": 9, "columns": [], "groups": []}
    return {"boards": [{**outline, "items_page": page, "activity_logs": lines or [], **more}]}


async def read(script: Script, calls: int = 10) -> changes.BoardChanges:
    return await changes.Reader(see(script), SINCE, calls).read("7")


async def test_pages_are_read_up_to_the_first_item_that_did_not_change() -> None:
    script = Script(
        BoardChanges=lambda _: board([item(1), item(2)], cursor="c1"),
        NextChanges=lambda _: {
            "next_items_page": {"cursor": "c2", "items": [item(3, parent="30"), item(4, "2026-12-01T09:59:59Z")]}
        },
    )
    found = await read(script)
    assert found.items == {"1", "2", "3"}
    assert found.parents == {"3": "30"}
    assert [name for name, _ in script.asked] == ["BoardChanges", "NextChanges"]
    assert script.asked[0][1]["from"] == "2026-12-01T10:00:00+00:00"


async def test_every_form_of_a_line_names_its_items() -> None:
    lines = [
        line("delete_pulse", pulse_id=1),
        line("move_pulse_from_board", pulse={"id": 2}),
        line("batch_change_pulses_column_value", pulse_ids=[3, 4]),
        line("batch_delete_pulses", pulses=[{"id": 5}]),
        line("update_column_value", pulse_id=6, parent_item_id=60),
        line("create_column", "board", column_id="c"),
    ]
    found = await read(Script(BoardChanges=lambda _: board([], lines)))
    assert found.items == {"1", "2", "3", "4", "5", "6"}
    assert found.parents == {"6": "60"}


async def test_the_log_is_read_page_by_page() -> None:
    def page(asked: Data) -> Data:
        lines = [line("delete_pulse", pulse_id=asked["page"])] * (changes.PAGE if asked["page"] == 2 else 1)
        return {"boards": [{"activity_logs": lines}]}

    full = [line("delete_pulse", pulse_id=1)] * changes.PAGE
    script = Script(BoardChanges=lambda _: board([], full), ActivityLog=page)
    assert (await read(script)).items == {"1", "2", "3"}
    with pytest.raises(changes.Incomplete, match="the activity log is too long"):
        await read(script, calls=2)


async def test_labels_groups_and_subitem_boards() -> None:
    columns = [
        {"id": "s", "type": "status", "settings": json.dumps({"labels": {"1": "PCE"}})},
        {"id": "sub", "type": "subtasks", "settings": json.dumps({"boardIds": [8]})},
    ]
    script = Script(BoardChanges=lambda _: board([], columns=columns, groups=[{"id": "g", "title": "G"}]))
    found = (await read(script)).outline
    assert found == changes.BoardOutline(active=9, subitem_boards=("8",), labels={"s": {"PCE": "1"}}, groups={"g": "G"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (board([item(1), item(2, "2026-12-01T10:31:00Z")]), "did not return the last updated items first"),
        (board([item(1)], cursor="c1"), "too many items changed"),
        (board([], [line("restore_pulse")]), "a line restore_pulse of the activity log names no item"),
        (board([], [{"event": "e", "entity": "pulse", "data": "{"}]), "a line e of the activity log is unreadable"),
    ],
)
async def test_it_says_when_the_changes_cannot_be_determined(answer: Data, reason: str) -> None:
    with pytest.raises(changes.Incomplete, match=reason):
        await read(Script(BoardChanges=lambda _: answer), calls=1)
