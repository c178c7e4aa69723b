"""The Faust app of a worker without its agents: the settings that the rules of consumer.py need, start, stop.

Only this file imports Faust; streams/app.py declares the agents.
"""

import logging
from typing import Any

import faust
from faust.tables.manager import TableManager
from mode.supervisors import CrashingSupervisor

from connectors import errors
from streams import settings
from streams.delivery import membership
from streams.delivery.kafka_login import kafka_security, kafka_tls

App = faust.App


class NoTables(TableManager):
    """ordersync has no Faust tables: its state is in SQL. Faust's own manager would sleep a second at every start."""

    logger = logging.getLogger("faust.tables.none")

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


async def start(app: App) -> None:
    """Returns when the app consumes. Raises Transient when the broker disappears meanwhile."""
    try:
        await app.start()
    except (RuntimeError, OSError) as error:  # aiokafka's errors are RuntimeErrors.
        raise errors.Transient(f"Faust did not start: {error}") from error


async def stop(app: App, *, holding: bool) -> None:
    """Stops in order and leaves the group, so that other workers take over before the session of this one ends.

    `holding`: a lane is paused. Then the stop does not wait for batches, because a paused one would not end.
    """
    app.conf.stream_wait_empty = not holding
    membership.leave(app.consumer)
    await app.stop()


def assigned(app: App) -> set[tuple[str, int]]:
    """The partitions that this worker owns now, as topic and number."""
    return {(tp.topic, tp.partition) for tp in app.consumer.assignment()}


def owns(app: App, topic: str) -> bool:
    """True if this worker owns a partition of this topic now."""
    return any(name == topic for name, _ in assigned(app))


def create_app(s: settings.Settings, bootstrap: str, member: str, web_port: int = 0) -> App:
    """An app without agents. `member` is its name in the group; it has no pages if `web_port` is 0."""
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
        # Faust stops fetching at 0.8 of this, before a full buffer can block the other lanes.
        stream_buffer_maxsize=1000,
        # Otherwise a rebalance waits for the writer's batch, for minutes. The price: events may be worked twice.
        stream_wait_empty=False,
        broker_session_timeout=10.0,
        # A worker learns from the answer to a heartbeat that another worker is gone.
        broker_heartbeat_interval=1.0,
        consumer_group_instance_id=member,
        # The consumer notices within this time that a topic was recreated; the default is five minutes.
        consumer_metadata_max_age_ms=10_000,
        consumer_auto_offset_reset="earliest",
        broker_request_timeout=40.0,
        broker_rebalance_timeout=120.0,
        stream_processing_timeout=1800.0,
        broker_commit_livelock_soft_timeout=1800.0,
        producer_request_timeout=30.0,
        producer_linger=0.005,
        web_enabled=bool(web_port),
        # The group stores this with a static member and compares it after a restart: without the port, which changes.
        canonical_url=f"http://{s.worker}",
        web_bind=s.web_bind,
        web_port=web_port or 6066,  # Faust rejects 0 even if it opens no port.
        web_host="127.0.0.1",
        agent_supervisor=CrashingSupervisor,
    )


def _credentials(s: settings.Settings) -> Any:
    if s.kafka_security_protocol == "PLAINTEXT":
        return None
    context = kafka_tls(s) if s.kafka_security_protocol.endswith("SSL") else None
    if s.kafka_security_protocol == "SSL":
        return faust.SSLCredentials(context)
    login = kafka_security(s)
    return faust.SASLCredentials(
        username=login["sasl.username"],
        password=login["sasl.password"],
        mechanism=login["sasl.mechanism"],
        ssl_context=context,
    )
