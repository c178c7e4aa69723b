"""The Faust app: five thin agents and a timer. The whole flow on one screen.

orders.changed      stage_orders      → orders.staged | orders.failed
orders.staged       sync_orders       → orders.synced | orders.failed
orders.synced       promote_orders
orders.failed       record_failures   → orders.dead-letter
orders.dead-letter  schedule_retries
(timer)             retry_failures    → orders.staged
(timer)             settle_doubts
(timer)             clean_up
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

RETRY_EVERY = DOUBTS_EVERY = TICK_EVERY = 1.0
# Between two looks whether the day's clean-up is due, and between two steps of it.
CLEAN_EVERY, CLEAN_PAUSE = 60.0, 0.2


class Sync(Protocol):
    """The sync step, and the end of what is in doubt while no event comes (streams.runtime.board_writer.Writing)."""

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]: ...
    async def settle_doubts(self, *, owns: bool) -> None: ...


def build(resources: Resources, state: health.Health, sync: Sync, member: str, web_port: int = 0) -> faust_app.App:
    """The worker's app, its agents declared. One app a process; `member` is its name in the group.

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
        await asyncio.to_thread(settle.promote, synced, resources.production)
        return []

    async def record_step(failed: Batch[events.OrderFailed]) -> list[kafka.OutgoingMessage]:
        again = await asyncio.to_thread(settle.record, failed, resources.failures)
        return dead_letters.failed(again, failed, failed.origins, topics.named(topics.DEAD_LETTER, prefix))

    async def schedule_step(dead: list[events.OrderFailed]) -> list[kafka.OutgoingMessage]:
        await asyncio.to_thread(retrier.schedule, dead)
        return []

    async def keep_poison(found: Sequence[Poison]) -> None:
        await asyncio.to_thread(resources.failures.poison, found)

    lanes: dict[str, Lane[Any]] = {
        "stage_orders": Lane(topics.CHANGED, stage_step, take=200),
        "sync_orders": Lane(topics.STAGED, sync_step, take=100),
        "promote_orders": Lane(topics.SYNCED, promote_step, take=200),
        "record_failures": Lane(topics.FAILED, record_step, take=100),
        "schedule_retries": Lane(topics.DEAD_LETTER, schedule_step, take=100, poison=keep_poison),
    }
    for name, lane in lanes.items():
        declare(app, name, lane, deliver)

    async def retry_failures() -> None:
        await deliver.repeat("retry_failures", retrying(retrier.due, deliver), RETRY_EVERY)

    async def settle_doubts() -> None:
        staged = topics.named(topics.STAGED, prefix)
        await deliver.repeat(
            "settle_doubts", lambda: sync.settle_doubts(owns=faust_app.owns(app, staged)), DOUBTS_EVERY
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
    """The timer's work: sends on what is due, and keeps it until Kafka has it, because a claim is given once."""
    claimed: list[events.OrderStaged] = []

    async def work() -> None:
        claimed.extend(await asyncio.to_thread(due))
        if claimed:
            await asyncio.to_thread(deliver.producer.send_all, outgoing(claimed, deliver.prefix))
            claimed.clear()

    return work


def cleaning(step: Callable[[], bool], deliver: consumer.Delivery) -> Callable[[], Awaitable[None]]:
    """The timer's work: step by step, with pauses for who has work to do, for as long as there is more."""

    async def work() -> None:
        more = True
        while more and not deliver.stopping():
            more = await asyncio.to_thread(step)
            await asyncio.sleep(CLEAN_PAUSE)

    return work


def declare(app: faust_app.App, name: str, lane: Lane[Any], deliver: consumer.Delivery) -> None:
    """One agent, which does nothing but hand its stream to `deliver`."""
    topic = app.topic(topics.named(lane.topic, deliver.prefix), value_serializer="raw", key_serializer="raw")

    async def agent(stream: Any) -> None:
        await deliver.run(stream, lane)

    app.agent(topic, name=name, concurrency=1, supervisor_strategy=CrashingSupervisor)(agent)
