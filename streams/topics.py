"""Topic, event class, partitions, retention: one table.

Every topic is keyed by customer with murmur2, so the order of one customer's events is the order of their topic.
`orders.staged` has one partition a board: one worker holds it, and that worker alone writes. A set-up has one board;
several share a Kafka by prefix, each with topics and a group of its own.

None is compacted: the key is the customer, so compaction would keep one event a customer and lose all other orders.
What is older than its retention was settled long ago, and SQL would find it again if not.
"""

from dataclasses import dataclass

from connectors import kafka
from schemas import events

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """What travels here, and how long it stays. `days` counts from the event's own time."""

    name: str
    event: type[events.OrderEvent]
    partitions: int
    days: int


CHANGED = Topic("orders.changed", events.OrderChanged, partitions=8, days=30)
STAGED = Topic("orders.staged", events.OrderStaged, partitions=1, days=7)
SYNCED = Topic("orders.synced", events.OrderSynced, partitions=8, days=7)
FAILED = Topic("orders.failed", events.OrderFailed, partitions=8, days=30)
DEAD_LETTER = Topic("orders.dead-letter", events.OrderFailed, partitions=1, days=365)

ALL = (CHANGED, STAGED, SYNCED, FAILED, DEAD_LETTER)
# What an event passes, one after the other; the last three only ever write to SQL, or start anew from there.
LANES = ((CHANGED,), (STAGED,), (SYNCED, FAILED), (DEAD_LETTER,))


def named(topic: Topic, prefix: str) -> str:
    """The topic's name on the broker: several set-ups may share one Kafka by prefix."""
    return prefix + topic.name


def specs(prefix: str, replication: int) -> list[kafka.TopicSpec]:
    """What `setup` makes and `validate` compares."""
    return [
        kafka.TopicSpec(
            name=named(topic, prefix),
            partitions=topic.partitions,
            replication=replication,
            config={
                "retention.ms": str(topic.days * DAY_MS),
                "cleanup.policy": "delete",
                # One broker of three may be away: events are still taken, and each is stored twice.
                "min.insync.replicas": "2" if replication >= 3 else "1",
            },
        )
        for topic in ALL
    ]
