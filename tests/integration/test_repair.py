"""From failure back to true, on real processes: what people did on the board, what the log can tell again, and sums.

One story, told in order; the tests share one running stage.
"""

import json
import random
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import errors
from streams import settings
from streams.commands import replay as replay_command
from streams.commands import verify as verify_command
from streams.demo import stage as demo
from streams.reconcile import audit, replay
from tests.support.people import People

ORDERS, SEED, EDITS = 75, 11, 50
# No order of the source has this identity.
STRANGE = "AAAAAAAA-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Stage]:
    base = settings.Settings(home=tmp_path_factory.mktemp("home"))
    with demo.stage(demo.settings_of(base, minute=1.0), orders=ORDERS, seed=SEED) as shown:
        demo.settle(shown, on_look=lambda seen: None)
        yield shown


@pytest.fixture(scope="module")
def shared(stage: demo.Stage) -> settings.Settings:
    """The settings of a command on another terminal."""
    ends = {"kafka_bootstrap_servers": stage.parts.bootstrap}
    return stage.parts.settings.model_copy(update=ends)


@pytest.fixture
def people(stage: demo.Stage) -> People:
    def edit(action: str, item_id: str | None = None, **told: Any) -> str:
        body = {"action": action, **({} if item_id is None else {"item_id": item_id}), **told}
        root = stage.parts.monday_url.rsplit("/", 1)[0]
        request = urllib.request.Request(f"{root}/admin/edit", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, str] = json.load(answer)
            return found["item_id"]

    mappings = stage.parts.mappings
    theirs = next(column.id for column in mappings.board.columns if column.source == "NOTES")
    return People(edit, lambda: stage.ask("board")["items"], mappings, theirs, random.Random(SEED))


def test_whatever_people_do_on_the_board_is_found_and_mended(
    stage: demo.Stage, shared: settings.Settings, people: People
) -> None:
    key = stage.parts.mappings.board.key.id
    people.act(EDITS)
    stranger = people.edit("add", name="of no order", columns={key: STRANGE})
    found = verify_command.run(shared, board=True)
    assert found.audited is not None
    assert not found.sound
    assert {one.kind for one in found.audited.drift} == set(audit.Kind)
    mended = verify_command.run(shared, board=True, fix=True, wait=True)
    assert mended.audited is not None
    # An item that carries an identity which ordersync never had is listed and stays.
    assert (mended.sound, mended.left, mended.left_alone, mended.failed) == (False, 0, (STRANGE,), ())
    assert [(one.kind, one.record_uuid) for one in mended.audited.drift] == [(audit.Kind.EXTRA, STRANGE)]
    assert mended.emitted == len(found.audited.orders) - 1
    people.edit("delete", stranger)
    assert verify_command.run(shared, board=True).sound
    assert stage.prove().wrong == []
    active = {item["id"] for item in stage.ask("board")["items"] if item["state"] == "active"}
    assert people.own <= active


def test_production_edited_by_hand_is_as_it_was(stage: demo.Stage, shared: settings.Settings) -> None:
    with stage.parts.db.write() as session:
        session.execute("UPDATE MON_CustMasterSchedule SET NOTES = 'by hand' WHERE [PO NUMBER] = '4755'")
        session.execute("DELETE FROM MON_CustMasterSchedule_Subitems WHERE size_label = 'M'")
    assert not verify_command.run(shared).sound
    assert verify_command.run(shared, fix=True, wait=True).sound
    assert stage.prove().wrong == []


def test_the_whole_log_told_again_twice_changes_nothing(
    stage: demo.Stage, shared: settings.Settings, until: Callable[..., Any]
) -> None:
    asked = replay.Asked(customers=("GREYSON CLOTHIERS",))
    preview = replay_command.dry_run(shared, asked)
    assert (preview.differences, preview.planned, preview.writes) == ([], [], 0)
    for _ in range(2):
        before = stage.stats()
        done = replay_command.run(shared, asked)
        assert done.emitted >= 69
        until(lambda: stage.parts.orders.unsettled_mutations() == 0, "the replay is settled")
        after = stage.stats()
        assert after["mutations"] == before["mutations"]
        assert after["query_requests"] - before["query_requests"] <= done.emitted // 100 + 1
    assert stage.parts.state.get(asked.name) is None
    assert stage.prove().wrong == []


def test_a_dry_run_tells_the_fields_that_differ_and_a_replay_mends_them(
    stage: demo.Stage, shared: settings.Settings, people: People, until: Callable[..., Any]
) -> None:
    ours = {item_id for item_id, _ in stage.parts.row_states.production_items().values()}
    item = next(one for one in stage.ask("board")["items"] if one["id"] in ours and "GREYSON" in one["group"])
    people.edit("set", item["id"], column_id="name", value="by hand")
    asked = replay.Asked(customers=("GREYSON CLOTHIERS",), since=datetime.now(UTC) - timedelta(days=1))
    preview = replay_command.dry_run(shared, asked)
    assert [(one.field, one.left, one.right) for one in preview.differences] == [("(name)", item["name"], "by hand")]
    assert (len(preview.planned), preview.writes, preview.ordinary) == (1, 1, 0)
    replay_command.run(shared, asked)
    until(lambda: stage.parts.orders.unsettled_mutations() == 0, "the replay is settled")
    assert stage.prove().wrong == []
    with pytest.raises(errors.Misconfigured, match="ends at offset"):
        replay_command.run(shared, replay.Asked(customers=("GREYSON CLOTHIERS",), from_offset=10**6))
