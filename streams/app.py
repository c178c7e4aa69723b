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
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import faust
from faust.tables.manager import TableManager
from mode.supervisors import CrashingSupervisor

from connectors import errors, kafka
from schemas import events
from schemas.failures import Poison
from streams import delivery, health, letters, membership, settings, settle, topics
from streams.delivery import Batch, Lane, outgoing
from streams.resources import Resources
from streams.security import security, tls

App = faust.App

RETRY_EVERY = DOUBTS_EVERY = TICK_EVERY = 1.0
# Between two looks whether the day's clean-up is due, and between two steps of it.
CLEAN_EVERY, CLEAN_PAUSE = 60.0, 0.2


class Sync(Protocol):
    """The sync step, and the end of what is in doubt while no event comes (streams.writing.Writing)."""

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]: ...
    async def settle_doubts(self, *, owns: bool) -> None: ...


class NoTables(TableManager):
    """We keep no tables: state is in SQL. The stock manager sleeps a second at every start all the same."""

    logger = logging.getLogger("faust.tables.none")

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def build(resources: Resources, state: health.Health, sync: Sync, member: str, web_port: int = 0) -> App:
    """The worker's app, its agents declared. One app a process; `member` is its name in the group.

    A `web_port` of 0 means no pages.
    """
    app = bare(resources.settings, resources.bootstrap, member, web_port)
    prefix = resources.settings.topic_prefix
    stager, retrier = resources.stager(), resources.retrier()
    deliver = delivery.Delivery(
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
        return letters.failed(again, failed, failed.origins, topics.named(topics.DEAD_LETTER, prefix))

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
        await deliver.repeat("settle_doubts", lambda: sync.settle_doubts(owns=owns(app, staged)), DOUBTS_EVERY)

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


async def start(app: App) -> None:
    """Returns once it consumes. Raises Transient when the broker went away meanwhile."""
    try:
        await app.start()
    except (RuntimeError, OSError) as error:  # All of aiokafka's errors are of the first kind.
        raise errors.Transient(f"Faust did not start: {error}") from error


async def stop(app: App, *, holding: bool) -> None:
    """Stops in order, and leaves the group: the others take over at once, and not when its session has run out.

    A batch that holds is not waited for: it would only end with its hold.
    """
    app.conf.stream_wait_empty = not holding
    membership.leave(app.consumer)
    await app.stop()


def assigned(app: App) -> set[tuple[str, int]]:
    """The partitions that this worker has now, as topic and number."""
    return {(tp.topic, tp.partition) for tp in app.consumer.assignment()}


def owns(app: App, topic: str) -> bool:
    """Does this worker have a partition of this topic now?"""
    return any(name == topic for name, _ in assigned(app))


def retrying(due: Callable[[], list[events.OrderStaged]], deliver: delivery.Delivery) -> Callable[[], Awaitable[None]]:
    """The timer's work: sends on what is due, and keeps it until Kafka has it, because a claim is given once."""
    claimed: list[events.OrderStaged] = []

    async def work() -> None:
        claimed.extend(await asyncio.to_thread(due))
        if claimed:
            await asyncio.to_thread(deliver.producer.send_all, outgoing(claimed, deliver.prefix))
            claimed.clear()

    return work


def cleaning(step: Callable[[], bool], deliver: delivery.Delivery) -> Callable[[], Awaitable[None]]:
    """The timer's work: step by step, with pauses for who has work to do, for as long as there is more."""

    async def work() -> None:
        more = True
        while more and not deliver.stopping():
            more = await asyncio.to_thread(step)
            await asyncio.sleep(CLEAN_PAUSE)

    return work


def declare(app: App, name: str, lane: Lane[Any], deliver: delivery.Delivery) -> None:
    """One agent, which does nothing but hand its stream to `deliver`."""
    topic = app.topic(topics.named(lane.topic, deliver.prefix), value_serializer="raw", key_serializer="raw")

    async def agent(stream: Any) -> None:
        await deliver.run(stream, lane)

    app.agent(topic, name=name, concurrency=1, supervisor_strategy=CrashingSupervisor)(agent)


def bare(s: settings.Settings, bootstrap: str, member: str, web_port: int = 0) -> App:
    """An app without agents, with the settings that the rules of delivery.py need."""
    return faust.App(
        s.topic_prefix + s.group,
        broker=f"aiokafka://{bootstrap}".replace(",", ";aiokafka://"),
        broker_credentials=_credentials(s),
        TableManager=NoTables,
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        datadir=str(s.home / "faust"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_commit_interval=1.0,
        broker_max_poll_interval=604_800.0,
        broker_max_poll_records=200,
        # A fetch is held back from 0.8 of this: never so late that a full buffer would block the other lanes.
        stream_buffer_maxsize=1000,
        # Else a rebalance waits, for minutes, for the writer's batch; what is in work may be worked twice instead.
        stream_wait_empty=False,
        broker_session_timeout=10.0,
        # With the answer to it a worker learns that another one is gone.
        broker_heartbeat_interval=1.0,
        consumer_group_instance_id=member,
        # Topics that were made anew are noticed this soon; the default is five minutes.
        consumer_metadata_max_age_ms=10_000,
        consumer_auto_offset_reset="earliest",
        broker_request_timeout=40.0,
        broker_rebalance_timeout=120.0,
        stream_processing_timeout=1800.0,
        broker_commit_livelock_soft_timeout=1800.0,
        producer_request_timeout=30.0,
        producer_linger=0.005,
        web_enabled=bool(web_port),
        # Kept by the group with a static member and compared at its next start: without a port, which changes.
        canonical_url=f"http://{s.worker}",
        web_bind=s.web_bind,
        web_port=web_port or 6066,  # Faust refuses 0 even when it opens no port.
        web_host="127.0.0.1",
        agent_supervisor=CrashingSupervisor,
    )


def _credentials(s: settings.Settings) -> Any:
    if s.kafka_security_protocol == "PLAINTEXT":
        return None
    context = tls(s) if s.kafka_security_protocol.endswith("SSL") else None
    if s.kafka_security_protocol == "SSL":
        return faust.SSLCredentials(context)
    told = security(s)
    return faust.SASLCredentials(
        username=told["sasl.username"],
        password=told["sasl.password"],
        mechanism=told["sasl.mechanism"],
        ssl_context=context,
    )
