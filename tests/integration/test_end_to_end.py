"""The whole flow on real processes: Kafka, the board, the supervised poller and worker. One story, told in order.

The tests share one running stage, and each begins where the one before it ended.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import kafka
from connectors.samples import changes as sample_changes
from connectors.tables.retries import Way
from schemas.batches import BatchStatus, SyncState
from streams import settings, topics
from streams.commands import failures as failures_command
from streams.commands import trace
from streams.demo import stage as demo
from streams.runtime import connect, passes, status

# The first test starts everything, and each waits until all of it is at rest.
pytestmark = pytest.mark.timeout(600)
ORDERS, SEED = 120, 7
Until = Callable[..., Any]
GREYSON = "GREYSON CLOTHIERS 2025 FALL"
PO = "4755"


class Story:
    """A running stage, with the sums that are looked at whenever it is looked at."""

    def __init__(self, shown: demo.Stage) -> None:
        self.stage = shown
        self.parts = shown.parts
        self.looks = 0

    def settle(self, within: float = 200.0) -> None:
        """Until nothing is on its way any more; the sums must hold at every look."""
        demo.settle(self.stage, within=within, on_look=self.look)

    def look(self, seen: status.Status | None = None) -> None:
        self.looks += 1
        for batch in self.parts.batches.newest(1000):
            total, *ended = (batch[f"{name}_records"] or 0 for name in ("total", "successful", "failed", "superseded"))
            assert min(ended) >= 0
            assert sum(ended) <= total, batch
            if batch["status"] in (BatchStatus.PROMOTED, BatchStatus.FAILED):
                assert sum(ended) == total, batch
                assert (batch["status"] == BatchStatus.FAILED) == (ended[1] > 0), batch

    def greyson(self) -> list[Any]:
        """The board's items of the order that everybody knows."""
        items = asyncio.run(connect.ask_board(self.parts, connect.read_items))
        return [
            item
            for item in items
            if item.group_title == GREYSON and any(cell.text == PO for cell in item.columns.values())
        ]

    def logs(self) -> dict[str, str]:
        folder: Path = self.parts.settings.home / "logs"
        return {path.name: path.read_text() for path in folder.glob("*.log")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    # A lease that a worker cannot lose while the machine does other work.
    base = settings.Settings(home=tmp_path_factory.mktemp("home"), lease_seconds=120.0)
    with demo.stage(demo.settings_of(base, minute=3.0), orders=ORDERS, seed=SEED) as shown:
        yield Story(shown)


@pytest.fixture(scope="module")
def changes(story: Story) -> list[sample_changes.SourceChange]:
    """A day's changes: corrections, new orders, deletions, bad orders."""
    return demo.script(story.parts, orders=ORDERS, seed=SEED)


def test_the_first_sync_brings_every_order_once(story: Story) -> None:
    story.settle()
    found = story.stage.prove()
    assert found.wrong == []
    assert found.valid == found.items == ORDERS - found.excluded - found.failed - found.refused
    greyson = story.greyson()
    assert len(greyson) == 69
    assert sum(len(item.subitems) for item in greyson) == 264
    assert story.looks > 1


def test_a_second_look_at_unchanged_orders_emits_nothing_and_costs_nothing(story: Story) -> None:
    before = story.stage.stats()["requests"]
    report = story.parts.detector(passes.publisher(story.parts)).run()
    assert report.quiet
    assert report.emitted == 0
    assert report.scanned >= ORDERS
    story.settle()
    assert story.stage.stats()["requests"] == before


def test_an_edit_of_a_column_that_nobody_watches_costs_nothing_either(story: Story) -> None:
    before = story.stage.stats()["requests"]
    assert demo.pass_after_unwatched_edit(story.parts).emitted == 0
    story.settle()
    assert story.stage.stats()["requests"] == before


def test_a_days_changes_arrive_and_nothing_else_is_touched(
    story: Story, changes: list[sample_changes.SourceChange]
) -> None:
    before = story.stage.stats()
    demo.apply(story.parts, changes)
    story.settle()
    assert story.stage.prove().wrong == []
    after = story.stage.stats()
    # A few mutations for each changed order, and none for the others.
    assert 0 < after["mutations"] - before["mutations"] < 5 * len(changes)
    assert after["throttled"] == 0


def test_a_bad_order_is_an_err_row_with_column_value_and_reason(
    story: Story, changes: list[sample_changes.SourceChange]
) -> None:
    [bad] = [change for change in changes if change.kind is sample_changes.Kind.BAD_PRICE]
    [(column, value)] = [(name, cell) for name, cell in bad.cells.items() if name != "record_uuid"]
    [row] = [row for row in story.parts.failures.waiting() if row["record_uuid"] == bad.record_uuid]
    assert f"[{column}] is {value!r}" in row["error_message"]
    assert "not a number" in row["error_message"]
    codes = {row["error_code"] for row in story.parts.failures.waiting()}
    assert codes >= {"VALIDATION", "NO_IDENTITY", "DUPLICATE_IDENTITY"}
    # Its neighbours arrived: that the rest proves is told above; here, that something is the rest.
    assert status.collect(story.parts).total[SyncState.IN_SYNC] > ORDERS // 2


def passed(story: Story) -> int:
    """How many passes there were."""
    last = status.collect(story.parts).last_pass
    assert last is not None
    return last.number


def test_a_change_is_on_the_board_within_seconds(story: Story, until: Until) -> None:
    row = story.greyson()[0]
    [uuid] = [cell.text for name, cell in row.columns.items() if name == story.parts.mappings.board.key.id]
    before = passed(story)
    with story.parts.db.write() as session:
        session.execute("UPDATE ORDERS_UNIFIED SET [CUSTOMER STYLE] = ? WHERE record_uuid = ?", ("QUICK1", uuid))

    def shown() -> bool:
        return any("QUICK1" in item.name for item in story.greyson())

    until(shown, "the change is on the board")
    # A pass each second: counted, for all that has part in it is as slow as the machine.
    assert passed(story) - before < 20
    story.settle()
    assert story.stage.prove().wrong == []


def test_the_logs_of_a_day_without_trouble_are_short_and_without_tracebacks(story: Story) -> None:
    for name, text in story.logs().items():
        assert "Traceback" not in text, name
        assert len(text.splitlines()) < 30, name
        assert not re.search(r"ERROR|CRITICAL", text), name
    assert [one.restarts for one in story.stage.supervisor.services.values()] == [0, 0]


def test_bytes_that_are_no_event_become_one_err_row_that_says_where_they_lie(story: Story, until: Until) -> None:
    topic = topics.named(topics.CHANGED, story.parts.settings.topic_prefix)
    before = sum(story.parts.admin.end_offsets([topic]).values())
    for _ in range(2):
        story.parts.producer.send_all([kafka.OutgoingMessage(topic, "GREYSON CLOTHIERS", b"\xffnonsense")])

    def rows() -> list[dict[str, Any]]:
        return [row for row in story.parts.failures.waiting() if row["error_type"] == "UNDECODABLE"]

    until(lambda: len(rows()) >= 2, "both are told")
    assert sum(story.parts.admin.end_offsets([topic]).values()) == before + 2
    assert all(f"{topic}, partition" in row["error_message"] for row in rows())
    assert all("9 bytes are no event" in row["error_message"] for row in rows())


def test_a_retry_by_hand_detects_a_refused_order_again(
    story: Story, changes: list[sample_changes.SourceChange], until: Until
) -> None:
    [bad] = [change for change in changes if change.kind is sample_changes.Kind.BAD_PRICE]
    [row] = [row for row in story.parts.failures.waiting() if row["record_uuid"] == bad.record_uuid]
    done = failures_command.retry(
        story.parts.settings,
        failures_command.Filters(ids=(row["err_id"],)),
        dry_run=False,
        progress=lambda done, of: None,
    )
    assert [verdict.way for _, verdict in done] == [Way.DETECT]

    def again() -> bool:
        [newest] = [row for row in story.parts.failures.waiting() if row["record_uuid"] == bad.record_uuid]
        return bool(newest["version"] > row["version"])

    until(again, "it is detected again")
    story.settle()
    assert story.stage.prove().wrong == []


def test_a_trace_tells_an_orders_life_with_the_offset_of_its_event(story: Story) -> None:
    uuid = story.parts.production.everything()[0][0]["source_uuid"]
    [order] = trace.find(story.parts.settings, uuid)
    life = trace.trace(story.parts.settings, order)
    whats = {moment.what for moment in life.moments}
    assert {"detected", "staged", "sent to the board", "settled"} <= whats
    [staged, *_] = [moment for moment in life.moments if moment.what == "staged"]
    assert "offset" in str(staged.details["orders.changed partition"])
    assert life.differences == ()
