"""Every end of a failure, and undecodable bytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.tables.retries import Way
from schemas import codec, events
from schemas.base import Origin
from schemas.batches import SyncState
from schemas.failures import Poison
from schemas.versions import Version
from sql import tables
from streams import topics
from streams.delivery import consumer, dead_letters
from tests.support import factories
from tests.support.factories import World, changed, identity, row
from tests.support.faust_stream import Event, Message, Process, Stream

DELETED = events.Change.DELETED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def fail(world: World, event: events.OrderEvent, **fields: Any) -> None:
    world.retrier.schedule(world.record(world.refuse(event, **fields)))


def ends(world: World, table: str = tables.ERRORS) -> list[tuple[int, str | None, str | None]]:
    """Version, resolution and reason of every failure, in the order of versions."""
    rows = sorted(world.errors(table), key=lambda line: line["version"] or 0)
    return [(line["version"], line["resolution"], line["resolution_reason"]) for line in rows]


def test_the_version_itself_arrives(world: World) -> None:
    world.add(row(1))
    (event,) = world.stage(*world.passed())
    fail(world, event, retryable=True)
    world.promote(*world.arrive([event]))
    assert ends(world) == [(event.version, "RESOLVED", f"version {event.version} arrived")]


def test_a_newer_version_arrives(world: World) -> None:
    world.add(row(1))
    (event,) = world.stage(*world.passed())
    fail(world, event, size_label="M")
    world.edit(1, {"PO NUMBER": "4756"})
    world.flow()
    assert ends(world, tables.ERRORS_SUBITEMS) == [
        (event.version, "SUPERSEDED", f"version {event.version + 1} arrived")
    ]


def test_the_source_is_corrected(world: World) -> None:
    world.add(row(1, CUSTOMER_PRICE="cheap"))
    world.flow()
    assert world.states() == {identity(1): SyncState.FAILED}
    [waiting] = world.failures.waiting()
    assert world.failures.counts() == {waiting["error_code"]: 1}
    world.edit(1, {"CUSTOMER PRICE": "12.5000"})
    world.flow()
    assert world.failures.counts() == {}
    assert world.states() == {identity(1): SyncState.IN_SYNC}
    ((_, resolution, reason),) = ends(world)
    assert resolution == "SUPERSEDED"
    assert reason is not None
    assert reason.endswith("arrived")


def test_the_order_leaves_the_source(world: World) -> None:
    world.add(row(1, CUSTOMER_PRICE="cheap"), row(2))
    world.flow()
    world.remove(1)
    world.flow()
    ((_, resolution, reason),) = ends(world)
    assert resolution == "SUPERSEDED"
    assert str(reason).startswith("the order left the board")


def test_a_row_gets_an_identity(world: World) -> None:
    world.add(row(1) | {"record_uuid": None})
    world.flow()
    assert [line["error_code"] for line in world.failures.waiting()] == ["NO_IDENTITY"]
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = ?", identity(1))
    world.flow()
    assert [end[1:] for end in ends(world)] == [("RESOLVED", "mended in the source")]


def test_an_operator_dismisses_it(world: World) -> None:
    world.add(row(1))
    (event,) = world.stage(*world.passed())
    fail(world, event, retryable=True)
    (waiting,) = world.failures.waiting()
    assert world.failures.dismiss(waiting["err_id"], reason="the customer is gone", by="ada")
    assert not world.failures.dismiss(waiting["err_id"], reason="once more", by="ada")
    assert ends(world) == [(event.version, "DISMISSED", "the customer is gone")]
    assert world.errors()[0]["resolved_by"] == "ada"
    world.clock.advance(10**6)
    assert world.retrier.due() == []
    assert world.failures.waiting() == []


def test_a_dismissed_refused_row_is_reported_once_more_only_after_a_correction(world: World) -> None:
    world.add(row(1), row(1), row(2))
    world.flow()
    (waiting,) = world.failures.waiting()
    world.failures.dismiss(waiting["err_id"], reason="known", by="ada")
    world.flow()
    assert world.failures.waiting() == []
    world.remove(1)
    world.flow()
    assert [line["resolution"] for line in world.errors()] == ["RESOLVED"]
    world.add(row(1), row(1))
    world.flow()
    assert [line["error_code"] for line in world.failures.waiting()] == ["DUPLICATE_IDENTITY"]


def test_a_later_failure_of_the_order_takes_its_place(world: World) -> None:
    one, two = (world.stage(changed(1, version))[0] for version in (1, 2))
    fail(world, one, size_label="S", retryable=True)
    fail(world, two)
    assert ends(world, tables.ERRORS_SUBITEMS) == [
        (1, "SUPERSEDED", "a later failure of the order counts, that of version 2")
    ]
    assert [line["version"] for line in world.failures.waiting()] == [2]


def test_a_refused_version_supersedes_only_refused_versions(world: World) -> None:
    (one,) = world.stage(changed(1, 1))
    fail(world, one, retryable=True)
    world.record(*world.stage(changed(1, 2, CUSTOMER_PRICE="cheap")))  # type: ignore[arg-type]
    assert {line["version"] for line in world.failures.waiting()} == {1, 2}, "the last good one is still on its way"
    world.record(*world.stage(changed(1, 3, CUSTOMER_PRICE="cheaper")))  # type: ignore[arg-type]
    assert {line["version"] for line in world.failures.waiting()} == {1, 3}
    world.clock.advance(100)
    assert [event.version for event in world.retrier.due()] == [1]


def test_of_several_failed_sizes_the_one_that_fails_once_more_counts(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event, size_label="S", retryable=True)
    fail(world, event, size_label="M", retryable=True)
    world.clock.advance(100)
    (again,) = world.retrier.due()
    fail(world, again, size_label="M", attempt=again.attempt)
    assert [(line["size_label"], line["retryable"]) for line in world.failures.waiting()] == [("M", 0)]
    world.clock.advance(10**6)
    assert world.retrier.due() == [], "a failure that waits for an operator is not retried together with another size"


def test_a_resolved_failure_that_recurs_at_the_same_version_is_reopened(world: World) -> None:
    world.add(row(1))
    (event,) = world.stage(*world.passed())
    first = world.refuse(event, retryable=True)
    world.record(first)
    world.promote(*world.arrive([event]))
    world.record(first)
    assert world.failures.waiting() == [], "a repeated event changes nothing"
    world.clock.advance(60)
    fail(world, event, retryable=True, code="REPAIR", message="the board refuses the repair")
    (line,) = world.failures.waiting()
    assert (line["error_code"], line["retry_count"]) == ("REPAIR", 0)
    assert ends(world) == [(event.version, None, None)]
    assert world.states() == {identity(1): SyncState.FAILED}
    world.clock.advance(100)
    (again,) = world.retrier.due()
    assert (again.cause, again.version) == (events.Cause.REPLAY, event.version), (
        "only a replay repeats a settled version"
    )
    world.staging.begin_again([Version(again.record_uuid, again.version)])
    world.promote(*world.arrive([again]))
    assert world.failures.waiting() == []
    assert world.states() == {identity(1): SyncState.IN_SYNC}
    assert [end[1] for end in ends(world)] == ["RESOLVED"]


def test_an_old_event_does_not_reopen_a_dismissed_failure(world: World) -> None:
    (event,) = world.stage(changed(1))
    failed = world.refuse(event)
    world.record(failed)
    world.failures.dismiss(world.failures.waiting()[0]["err_id"], reason="no", by="ada")
    world.record(failed)
    assert world.failures.waiting() == []
    world.record(world.refuse(event))
    assert len(world.failures.waiting()) == 1


def test_a_retry_that_fails_otherwise_shows_the_newest_reason(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event, retryable=True)
    fail(
        world, event, attempt=1, code="ItemNameTooLongException", message="too long", http_status=422, request_id="r-2"
    )
    (line,) = world.errors()
    assert (line["error_code"], line["http_status_code"], line["request_id"]) == (
        "ItemNameTooLongException",
        422,
        "r-2",
    )
    assert (line["retryable"], line["next_retry_at"], line["retry_count"]) == (0, None, 1)


def poison(offset: int = 7, begins: str = "{oops", error: str = "not OrderChanged") -> Poison:
    origin = Origin("orders.changed", 3, offset)
    return Poison(origin=origin, key="GREYSON CLOTHIERS", size=5, begins=begins, error=error)


def test_undecodable_bytes_are_one_row_however_often_they_arrive(world: World) -> None:
    assert world.failures.poison([poison(), poison()]) == 1
    assert world.failures.poison([poison(), poison(8)]) == 1
    # The topic was recreated: other bytes at the same offset.
    assert world.failures.poison([poison(begins="other")]) == 1
    lines = world.failures.waiting()
    assert len({line["err_id"] for line in lines}) == 3
    assert {(line["error_type"], line["error_code"], line["retryable"]) for line in lines} == {
        ("UNDECODABLE", "UNDECODABLE", 0)
    }
    (first,) = [
        line for line in world.errors() if "offset 7" in line["error_message"] and "{oops" in line["error_message"]
    ]
    assert "orders.changed, partition 3, offset 7: 5 bytes are no event: not OrderChanged" in first["error_message"]
    assert json.loads(first["original_data"])["begins"] == "{oops"
    world.clock.advance(10**7)
    assert world.retrier.due() == []
    assert [decision.way for decision in world.retries.decide(lines)] == [Way.NOT] * 3
    assert world.failures.dismiss(first["err_id"], reason="a test of ours", by="ada")


async def test_a_dead_letter_of_undecodable_bytes_has_its_origin() -> None:
    found: list[Poison] = []

    async def keep(some: Any) -> None:
        found.extend(some)

    async def nothing(taken: Any) -> list[Any]:
        return []

    changed_lane = Event(b"\xff\x00\n{", Message(17, "p-orders.changed", 5))
    with pytest.raises(codec.Undecodable) as caught:
        codec.decode(events.OrderChanged, changed_lane.value)
    letter = dead_letters.undecodable(changed_lane, caught.value, "p-orders.dead-letter")
    headers = {name: text.encode() for name, text in letter.headers.items()}
    strange = Event(
        b"garbage", Message(2, "p-orders.dead-letter"), headers={"origin-topic": b"x", "origin-offset": b"-"}
    )
    stream = Stream([])
    stream.batches = [[Event(letter.value, Message(1, "p-orders.dead-letter"), headers=headers), strange]]
    process = Process(stops=True)
    await process.delivery.run(stream, consumer.Lane(topics.DEAD_LETTER, nothing, take=10, poison=keep))
    assert [one.origin for one in found] == [Origin("p-orders.changed", 5, 17), Origin("p-orders.dead-letter", 0, 2)]
    assert (found[0].size, found[0].begins, found[0].key) == (4, "\\xff\\x00\\n{", "GREYSON CLOTHIERS")
    assert found[0].error.startswith("not OrderChanged")
    assert found[1].error.startswith("not OrderFailed")
    assert process.sent == []
    assert stream.acknowledged == [1, 2]
