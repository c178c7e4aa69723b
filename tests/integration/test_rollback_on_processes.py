"""Archive, roll back and release with the commands that people type, on real processes."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.batches import SyncState
from streams import settings
from streams.demo import stage as demo
from streams.resources import utcnow
from streams.runtime import status, supervisor

ORDERS, SEED = 90, 5
GREYSON = "GREYSON CLOTHIERS"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[demo.Stage]:
    base = settings.Settings(home=tmp_path)
    with demo.stage(demo.settings_of(base, minute=3.0), orders=ORDERS, seed=SEED) as shown:
        yield shown


def ordersync(stage: demo.Stage, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    environment = {**stage.supervisor.services["worker"].environment, "COLUMNS": "200"}
    done = subprocess.run(supervisor.ordersync(*arguments), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def settle(stage: demo.Stage) -> status.Status:
    """Until nothing is on its way; then every row of the source is counted once."""
    demo.settle(stage, within=90, on_look=lambda seen: None)
    seen = status.collect(stage.parts)
    assert sum(seen.total.values()) + seen.refused == seen.source_rows
    return seen


def board(stage: demo.Stage) -> dict[str, tuple[Any, ...]]:
    """Every item by identity: its name, group, columns and sizes."""
    key = stage.parts.mappings.board.key.id
    quantity = stage.parts.mappings.board.subitem.quantity.id
    found: dict[str, tuple[Any, ...]] = {}
    for item in stage.ask("board")["items"]:
        if item["state"] == "active":
            sizes = [one for one in item["subitems"] if one["state"] == "active" and one["columns"][quantity] != "0"]
            assert item["columns"][key] not in found
            shown = sorted((one["name"], one["columns"][quantity]) for one in sizes)
            found[item["columns"][key]] = (item["name"], item["group"], item["columns"], shown)
    return found


def test_a_customer_goes_back_to_the_morning_and_is_released(stage: demo.Stage, until: Callable[..., Any]) -> None:
    parts = stage.parts
    settle(stage)
    until(lambda: not status.collect(parts).unarchived, "every customer is archived")
    morning, before = utcnow(), board(stage)
    some = (
        "record_uuid IN (SELECT source_uuid FROM MON_CustMasterSchedule WHERE [CUSTOMER] = ? ORDER BY source_uuid"
        " LIMIT ? OFFSET ?)"
    )
    with parts.db.write() as session:
        session.execute(f"UPDATE ORDERS_UNIFIED SET [CUSTOMER STYLE] = 'ROLLED' WHERE {some}", (GREYSON, 40, 0))
        session.execute(f"DELETE FROM ORDERS_UNIFIED WHERE {some}", (GREYSON, 3, 40))
    settle(stage)
    after = board(stage)
    assert len(before) - len(after) == 3
    assert "ROLLED" in str(after)

    at = morning.isoformat()
    told = ordersync(stage, "rollback", "--customer", "greyson", "--to", at, "--dry-run")
    assert "3 created, 40 updated" in told
    assert "mutations in" in told
    assert "→" in told
    assert board(stage) == after

    ordersync(stage, "rollback", "--customer", "greyson", "--to", at, "--yes")
    seen = settle(stage)
    assert seen.total[SyncState.HELD] > 0
    assert [one.customer for one in seen.holds] == [GREYSON]
    assert board(stage) == before

    ordersync(stage, "rollback", "--customer", "greyson", "--release")
    assert not settle(stage).holds
    assert board(stage) == after
    assert stage.prove().wrong == []
