"""The Faust app of a worker without its agents: the settings that the rules of consumer.py need, start, stop.

The only file that imports Faust besides streams/app.py, which declares the agents.
"""

import logging
from typing import Any

import faust
from faust.tables.manager import TableManager
from mode.supervisors import CrashingSupervisor

from connectors import errors
from streams import settings
from streams.delivery import membership
from streams.settings import kafka_security, kafka_tls

App = faust.App


class NoTables(TableManager):
    """We keep no tables: state is in SQL. The stock manager sleeps a second at every start all the same."""

    logger = logging.getLogger("faust.tables.none")

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


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


def create_app(s: settings.Settings, bootstrap: str, member: str, web_port: int = 0) -> App:
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
