"""Delivery, on a made-up stream: what is tried again, what is held, what is acknowledged, what ends.

tests/integration/test_delivery_on_kafka.py shows the same on a real broker.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors import errors, kafka
from schemas import codec, events, failures
from streams import topics
from streams.delivery import consumer, dead_letters
from tests.support.faust_stream import Process, Stream


def staged(number: int) -> events.OrderStaged:
    return events.OrderStaged(
        customer="GREYSON CLOTHIERS", record_uuid=f"order-{number}", version=1, row_hash="hash", batch_id="batch"
    )


def good(*numbers: int) -> list[bytes | None]:
    return [codec.encode(staged(number)) for number in numbers]


class Step:
    """Raises what it is given, once each, then emits every event again."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.calls = 0

    async def __call__(self, taken: list[events.OrderStaged]) -> list[kafka.OutgoingMessage]:
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return consumer.outgoing(taken, "p-")


async def test_a_batch_is_acknowledged_once_its_result_is_sent() -> None:
    process, stream = Process(), Stream(good(1, 2), good(3))
    seen: list[list[int]] = []

    async def step(taken: list[events.OrderStaged]) -> list[kafka.OutgoingMessage]:
        seen.append(list(stream.acknowledged))
        return consumer.outgoing(taken, "p-")

    await process.run(stream, step)
    assert seen == [[], [0, 1]]
    assert stream.acknowledged == [0, 1, 2]
    assert [len(batch) for batch in process.sent] == [2, 1]
    assert process.health.counts["orders.staged"] == 3
    assert process.ended == []


async def test_a_step_that_is_done_is_not_repeated_when_only_the_sending_failed() -> None:
    process, stream, step = Process(refusals=2), Stream([*good(1), b"poison"]), Step()
    await process.run(stream, step)
    assert step.calls == 1
    # And nothing heaps up from try to try.
    assert [[message.topic for message in batch] for batch in process.sent] == [
        ["p-orders.dead-letter", "p-orders.staged"]
    ]
    assert stream.acknowledged == [0, 1]


async def test_what_may_pass_is_tried_again_and_the_step_sees_the_same_events() -> None:
    process, stream, step = Process(), Stream(good(1)), Step(errors.Transient("busy"), errors.Transient("busy"))
    await process.run(stream, step)
    assert step.calls == 3
    assert stream.acknowledged == [0]


async def test_tries_are_bounded_then_the_process_ends_without_acknowledging() -> None:
    process, stream = Process(tries=3), Stream(good(1), good(2))
    step = Step(*[errors.Transient("the database is locked")] * 9)
    await process.run(stream, step)
    assert step.calls == 4
    assert process.ended == [(75, "orders.staged: the database is locked")]
    assert stream.acknowledged == []


async def test_a_pause_that_the_other_side_asked_for_is_kept() -> None:
    process, stream = Process(), Stream(good(1))
    started = asyncio.get_running_loop().time()
    await process.run(stream, Step(errors.Transient("busy", wait=0.3)))
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert stream.acknowledged == [0]


async def test_holds_have_no_bound_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    process, stream = Process(tries=1), Stream(good(1))
    refused = [errors.Misconfigured(f"the token is refused (request {n})", code="TOKEN") for n in range(20)]
    step = Step(
        errors.Transient("busy"), *refused, errors.Transient("busy"), errors.Misconfigured("no board", code="BOARD")
    )
    await process.run(stream, step)
    assert stream.acknowledged == [0]
    told = [record.getMessage() for record in caplog.records if "retry in" not in record.getMessage()]
    assert told == [
        "orders.staged is paused: the token is refused (request 0)",
        "orders.staged is paused: no board",
        "orders.staged goes on",
    ]


async def test_while_it_holds_the_lane_says_why(until: Any) -> None:
    process, stream = Process(), Stream(good(1))
    running = asyncio.create_task(process.run(stream, Step(errors.Misconfigured("no permission", wait=0.5))))
    await asyncio.to_thread(until, lambda: process.health.holding, "it holds")
    assert process.health.holding == {"orders.staged": "no permission"}
    assert process.health.trouble == process.health.asks == {"orders.staged"}
    await running
    assert (process.health.holding, process.health.asks) == ({}, set())


async def test_what_may_succeed_by_itself_asks_for_no_operator(until: Any) -> None:
    process, stream = Process(), Stream(good(1))
    running = asyncio.create_task(process.run(stream, Step(errors.Transient("busy", wait=0.5))))
    await asyncio.to_thread(until, lambda: process.health.trouble, "it waits")
    assert process.health.asks == set()
    await running


async def test_a_stop_ends_a_hold_and_acknowledges_nothing(until: Any) -> None:
    process, stream = Process(), Stream(good(1))
    running = asyncio.create_task(process.run(stream, Step(errors.Misconfigured("no permission", wait=3600))))
    await asyncio.to_thread(until, lambda: process.health.holding, "it holds")
    process.stops = True
    await asyncio.wait_for(running, 60)
    assert stream.acknowledged == []
    assert process.ended == []


async def test_a_rebalance_ends_a_worker_that_holds_because_the_group_would_wait_for_it() -> None:
    process, stream = Process(), Stream(good(1))
    process.rebalances = True
    await asyncio.wait_for(process.run(stream, Step(errors.Misconfigured("no permission", wait=3600))), 60)
    assert process.ended == [(75, "orders.staged: the group rebalances while this lane is paused")]
    assert stream.acknowledged == []


async def test_a_lost_lease_is_not_held_although_it_is_a_misconfiguration() -> None:
    process, stream, step = Process(), Stream(good(1)), Step(errors.LeaseLost("the lease is another's"))
    await process.run(stream, step)
    assert process.ended == [(75, "orders.staged: the lease is another's")]
    assert step.calls == 1
    assert stream.acknowledged == []


@pytest.mark.parametrize("trouble", [ValueError("secret row"), KeyboardInterrupt(), SystemExit(0)])
async def test_what_nobody_knows_ends_the_process(trouble: BaseException) -> None:
    process, stream = Process(), Stream(good(1))

    async def step(taken: list[events.OrderStaged]) -> list[kafka.OutgoingMessage]:
        raise trouble

    await process.run(stream, step)
    assert process.ended == [(70, f"orders.staged: {type(trouble).__name__}")]
    assert stream.acknowledged == []


async def test_a_cancelled_lane_is_no_trouble_and_acknowledges_nothing() -> None:
    process, stream = Process(), Stream(good(1))
    reached = asyncio.Event()

    async def step(taken: list[events.OrderStaged]) -> list[kafka.OutgoingMessage]:
        reached.set()
        await asyncio.sleep(3600)
        return []

    running = asyncio.create_task(process.run(stream, step))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert process.ended == []
    assert stream.acknowledged == []


async def test_a_stream_that_faust_ends_while_the_app_runs_ends_the_process() -> None:
    process = Process()
    await process.delivery.run(Stream(), consumer.Lane(topics.STAGED, Step(), take=1))
    assert process.ended == [(75, "orders.staged: Faust ended the stream")]


async def test_poison_says_where_it_came_from_and_an_endless_one_is_cut() -> None:
    process, stream, step = Process(), Stream([b"x" * 2_000_000, None, *good(1)]), Step()
    await process.run(stream, step)
    large, missing, emitted = process.sent[0]
    assert len(large.value) == dead_letters.KEPT
    assert large.headers["origin-bytes"] == "2000000"
    assert (large.headers["origin-topic"], large.headers["origin-partition"]) == ("p-orders.staged", "0")
    assert (large.headers["origin-offset"], missing.headers["origin-offset"]) == ("0", "1")
    assert (large.key, large.headers["error-class"]) == ("GREYSON CLOTHIERS", "Undecodable")
    assert missing.value == b""
    assert emitted.topic == "p-orders.staged"
    assert stream.acknowledged == [0, 1, 2]


async def test_a_batch_of_nothing_but_poison_does_not_call_the_step() -> None:
    process, stream, step = Process(), Stream([b"poison"], good(1)), Step()
    await process.run(stream, step)
    assert step.calls == 1
    assert stream.acknowledged == [0, 1]


async def test_what_is_undecodable_among_the_dead_letters_stays_there_instead_of_going_round() -> None:
    failed = events.OrderFailed(
        **staged(1).identity,
        failure=failures.FailureType.API_ERROR,
        code="X",
        message="no",
        retryable=True,
        failed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    process, stream = Process(), Stream([b"poison", codec.encode(failed)])

    async def step(taken: list[events.OrderFailed]) -> list[kafka.OutgoingMessage]:
        assert taken == [failed]
        return []

    await process.run(stream, step, topics.DEAD_LETTER)
    assert process.sent == []
    assert stream.acknowledged == [0, 1]


async def test_a_timers_work_goes_on_until_the_stop_under_the_same_law() -> None:
    process, step = Process(), Step(errors.Transient("busy"), errors.Misconfigured("no right", wait=0.0))

    async def work() -> None:
        await step([])
        process.stops = step.calls == 5

    await process.delivery.repeat("retry_failures", work, every=0.001)
    assert step.calls == 5
    assert process.ended == []

    process, step = Process(tries=1), Step(errors.Transient("busy"), errors.Transient("busy"))
    await process.delivery.repeat("retry_failures", lambda: step([]), every=0.001)  # type: ignore[return-value,arg-type]
    assert process.ended == [(75, "retry_failures: busy")]


def test_every_event_goes_to_the_topic_of_its_class_keyed_by_customer() -> None:
    [message] = consumer.outgoing([staged(1)], "demo-")
    assert (message.topic, message.key) == ("demo-orders.staged", "GREYSON CLOTHIERS")
    assert codec.decode(events.OrderStaged, message.value) == staged(1)
