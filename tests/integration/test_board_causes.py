"""What stops one board or a part of it, on real processes: a full board, a column by hand, an item that was moved."""

import asyncio
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors.monday import board_values
from connectors.tables.lost_events import PARKED
from streams.runtime import connect, status
from tests.integration.test_worker_process import Plant, Until, plant_in


def health(plant: Plant) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of the worker's page about the service."""
    address = plant.parts.state.all_of("worker")["worker-1"]["address"]
    try:
        with urllib.request.urlopen(address, timeout=60) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def on_page(plant: Plant, part: str) -> list[tuple[str, str]]:
    """Severity and reason of the reasons of this part on that page; its status is 503, for no poller runs here."""
    code, page = health(plant)
    assert code == 503
    return [(one["severity"], one["reason"]) for one in page["reasons"] if one["part"] == part]


def parked(plant: Plant) -> set[str]:
    """The orders that wait."""
    return {name.partition(".")[0] for name in plant.parts.state.all_of(PARKED)}


def holding(plant: Plant) -> dict[str, str]:
    """What status shows of the worker."""
    [worker] = [one for one in status.collect(plant.parts).workers if one.role == "worker"]
    return worker.holding


def by_hand(plant: Plant, action: str, **told: str) -> str:
    """An edit by a user."""
    root = plant.parts.monday_url.rsplit("/", 1)[0]
    body = json.dumps({"action": action, **told}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{root}/admin/edit", body, method="POST"), timeout=60
    ) as answer:
        return str(json.load(answer)["item_id"])


def shown(plant: Plant) -> dict[str, board_values.BoardItem]:
    """The items of the board by order; fails if an order is there twice."""
    items = asyncio.run(connect.ask_board(plant.parts, connect.read_items))
    key = plant.parts.mappings.board.key.id
    by_order = {str(item.columns[key].text): item for item in items}
    assert len(by_order) == len(items)
    return by_order


def error_codes(plant: Plant) -> set[str]:
    return {str(failure["error_code"]) for failure in plant.parts.failures.waiting()}


def source(plant: Plant) -> list[str]:
    with plant.parts.db.read() as session:
        return [str(row["record_uuid"]) for row in session.query("SELECT record_uuid FROM ORDERS_UNIFIED")]


def delete(plant: Plant, uuids: Sequence[str]) -> None:
    """Removes orders from the source, few enough at a time for the guard."""
    for start in range(0, len(uuids), 40):
        with plant.parts.db.write() as session:
            for uuid in uuids[start : start + 40]:
                session.execute("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", (uuid,))
        assert plant.detect() > 0


def test_a_full_board_holds_creates_until_removals_make_room(tmp_path: Path, broker: str, until: Until) -> None:
    with plant_in(tmp_path, broker, until, options=("--items-limit", "100")) as plant:
        plant.add_key_column()
        worker = plant.start()
        assert plant.detect() > 50
        until(lambda: "board" in holding(plant), "the worker reports the full board")
        until(lambda: not status.collect(plant.parts).unsettled_mutations or len(parked(plant)) > 40, "orders wait")
        [(severity, reason)] = on_page(plant, "board")
        assert severity == "person"
        assert "orders wait for room: Board is limited to 100 items" in reason
        worker.signal(signal.SIGKILL)
        worker.wait()
        waiting = parked(plant)
        assert waiting
        plant.start()
        # Whoever stays has room: five orders that wait, and five that may be on the board.
        stay = [*sorted(waiting)[:5], *sorted(set(source(plant)) - waiting)[:5]]
        delete(plant, sorted(set(source(plant)) - set(stay)))
        plant.settled()
        until(lambda: not parked(plant), "no order waits")
        until(lambda: "board" not in holding(plant), "the worker reports room")
        on_board = shown(plant)
        assert set(on_board) <= set(stay)
        assert set(waiting) & set(stay) <= set(on_board)
        assert plant.parts.verifier().check(thorough=True).wrong == ()
        assert error_codes(plant) == set()
        assert "the board is full, creates wait" in plant.log().read_text()
        assert on_page(plant, "board") == []


def test_a_deleted_column_pauses_the_lane_and_fails_no_order(tmp_path: Path, broker: str, until: Until) -> None:
    with plant_in(tmp_path, broker, until) as plant:
        plant.add_key_column()
        worker = plant.start()
        plant.detect()
        plant.settled()
        board = plant.parts.mappings.board
        freight = next(column for column in board.columns if column.source == "FREIGHT")
        by_hand(plant, "delete_column", board_id=board.board.id, column_id=freight.id)
        plant.change(20, 77)
        assert plant.detect() > 0
        reason = f"has no column '{freight.id}' for [{freight.title}]: restore it, or correct the id in board.yaml"
        until(lambda: reason in holding(plant).get("orders.staged", ""), "status shows why the lane is paused")
        [(severity, said)] = on_page(plant, "board")
        assert (severity, reason in said) == ("person", True)
        by_hand(
            plant, "restore_column",
            board_id=board.board.id, column_id=freight.id, title=freight.title, type=freight.type.value,
        )  # fmt: skip
        plant.settled()
        assert worker.running
        assert error_codes(plant) == set()
        log = plant.log().read_text()
        assert (log.count("is paused:"), log.count("goes on")) == (1, 1)
        assert plant.parts.verifier().check(thorough=True).wrong == ()


def test_a_moved_item_is_left_alone_and_its_order_gets_another(tmp_path: Path, broker: str, until: Until) -> None:
    with plant_in(tmp_path, broker, until) as plant:
        plant.add_key_column()
        plant.start()
        plant.detect()
        plant.settled()
        before = shown(plant)
        # One order that will change, and one that will leave the source.
        changed, leaves = sorted(before)[0], sorted(before)[-1]
        moved = [before[changed].id, before[leaves].id]
        for item_id in moved:
            by_hand(plant, "move_to_board", item_id=item_id)
        plant.change(1, 77)
        delete(plant, [leaves])
        plant.settled()
        after = shown(plant)
        assert after.keys() == before.keys() - {leaves}
        assert {uuid for uuid in after if after[uuid].id != before[uuid].id} == {changed}
        assert len(after[changed].subitems) == len(before[changed].subitems)
        places = asyncio.run(connect.ask_board(plant.parts, lambda board: board.places(moved)))
        assert [places[item_id].state for item_id in moved] == ["active", "active"]
        assert plant.parts.mappings.board.board.id not in {place.board_id for place in places.values()}
        assert error_codes(plant) == set()
        assert plant.parts.verifier().check(thorough=True).wrong == ()
