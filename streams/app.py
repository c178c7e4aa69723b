"""The Faust app of the worker: five agents, three timers and the tick of its health. The whole flow on one screen.

    orders.changed      stage_orders      → orders.staged or orders.failed
    orders.staged       sync_orders       → orders.synced or orders.failed
    orders.synced       promote_orders
    orders.failed       record_failures   → orders.dead-letter
    orders.dead-letter  schedule_retries
    timer, 1 s          retry_failures    → orders.staged
    timer, 1 s          settle_doubts     → orders.staged (parked orders)
    timer, 60 s         clean_up
    timer, 1 s          tick

A lane acknowledges a batch of events only after Kafka or SQL has confirmed every result of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from mode.supervisors import CrashingSupervisor

from connectors import kafka
from schemas import events
from schemas.failures import Poison
from streams import settle, topics
from streams.delivery import consumer, dead_letters, faust_app, health
from streams.delivery.consumer import Batch, Lane, outgoing
from streams.resources import Resources

# Seconds between two runs of a timer.
RETRY_EVERY = DOUBTS_EVERY = TICK_EVERY = 1.0
# Seconds between two checks whether the daily clean-up is due, and between two steps of it.
CLEAN_EVERY, CLEAN_PAUSE = 60.0, 0.2


class Sync(Protocol):
    """The sync step and the in-doubt requests (streams.runtime.board_writer)."""

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to these versions. Returns the events to emit.

        Raises Transient, Misconfigured or LeaseLost.
        """

    async def advance_in_doubt(self, *, owns: bool) -> None:
        """Ends in-doubt requests while no event arrives. `owns`: this worker has the partition of `orders.staged`.

        Raises what `step` raises.
        """


def build(resources: Resources, state: health.Health, sync: Sync, member: str, web_port: int = 0) -> faust_app.App:
    """The worker's app, with its agents and timers. One app a process; `member` is its member name in the group.

    A `web_port` of 0 means no pages.
    """
    app = faust_app.create_app(resources.settings, resources.bootstrap, member, web_port)
    prefix = resources.settings.topic_prefix
    stager, retrier = resources.stager(), resources.retrier()
    deliver = consumer.Delivery(
        producer=resources.producer,
        health=state,
        prefix=prefix,
        stopping=lambda: bool(app.should_stop),
        rebalancing=lambda: bool(app.rebalancing),
    )

    async def stage_step(changed: Batch[events.OrderChanged]) -> list[kafka.OutgoingMessage]:
        return outgoing(await asyncio.to_thread(stager.run, changed, changed.origins), prefix)

    async def sync_step(staged: list[events.OrderStaged]) -> list[kafka.OutgoingMessage]:
        return outgoing(await sync.step(staged), prefix)

    async def promote_step(synced: list[events.OrderSynced]) -> list[kafka.OutgoingMessage]:
        await asyncio.to_thread(settle.promote, synced, resources.production, resources.failures)
        return []

    async def record_step(failed: Batch[events.OrderFailed]) -> list[kafka.OutgoingMessage]:
        retryable = await asyncio.to_thread(settle.record, failed, resources.failures)
        return dead_letters.failed(retryable, failed, failed.origins, topics.named(topics.DEAD_LETTER, prefix))

    async def schedule_step(dead: list[events.OrderFailed]) -> list[kafka.OutgoingMessage]:
        await asyncio.to_thread(retrier.schedule, dead)
        return []

    async def record_undecodable(undecodable: Sequence[Poison]) -> None:
        await asyncio.to_thread(resources.failures.poison, undecodable)

    lanes: dict[str, Lane[Any]] = {
        "stage_orders": Lane(topics.CHANGED, stage_step, take=200),
        "sync_orders": Lane(topics.STAGED, sync_step, take=100),
        "promote_orders": Lane(topics.SYNCED, promote_step, take=200),
        "record_failures": Lane(topics.FAILED, record_step, take=100),
        "schedule_retries": Lane(topics.DEAD_LETTER, schedule_step, take=100, poison=record_undecodable),
    }
    for name, lane in lanes.items():
        declare(app, name, lane, deliver)

    async def retry_failures() -> None:
        await deliver.repeat("retry_failures", retrying(retrier.due, deliver), RETRY_EVERY)

    async def settle_doubts() -> None:
        staged = topics.named(topics.STAGED, prefix)
        await deliver.repeat(
            "settle_doubts", lambda: sync.advance_in_doubt(owns=faust_app.owns(app, staged)), DOUBTS_EVERY
        )

    async def clean_up() -> None:
        await deliver.repeat("clean_up", cleaning(resources.cleaner().step, deliver), CLEAN_EVERY)

    async def tick() -> None:
        state.tick()

    app.task(retry_failures)
    app.task(settle_doubts)
    app.task(clean_up)
    app.timer(TICK_EVERY)(tick)
    app.finalize()
    return app


def retrying(due: Callable[[], list[events.OrderStaged]], deliver: consumer.Delivery) -> Callable[[], Awaitable[None]]:
    """The work of `retry_failures`: emits the claimed versions, and keeps them until Kafka has confirmed them.

    `due` claims each version once, so a version that is not confirmed yet is emitted by the next run of the timer.
    """
    claimed: list[events.OrderStaged] = []

    async def work() -> None:
        claimed.extend(await asyncio.to_thread(due))
        if claimed:
            await asyncio.to_thread(deliver.producer.send_all, outgoing(claimed, deliver.prefix))
            claimed.clear()

    return work


def cleaning(step: Callable[[], bool], deliver: consumer.Delivery) -> Callable[[], Awaitable[None]]:
    """The work of `clean_up`: small steps while there is more to remove, with pauses that let the lanes work."""

    async def work() -> None:
        has_more = True
        while has_more and not deliver.stopping():
            has_more = await asyncio.to_thread(step)
            await asyncio.sleep(CLEAN_PAUSE)

    return work


def declare(app: faust_app.App, name: str, lane: Lane[Any], deliver: consumer.Delivery) -> None:
    """Declares the agent of a lane, which passes its stream to `deliver`."""
    topic = app.topic(topics.named(lane.topic, deliver.prefix), value_serializer="raw", key_serializer="raw")

    async def agent(stream: Any) -> None:
        await deliver.run(stream, lane)

    app.agent(topic, name=name, concurrency=1, supervisor_strategy=CrashingSupervisor)(agent)
