"""The table of topics: event class, partitions and retention of each.

Every topic is keyed by customer with murmur2, so a topic keeps the order of one customer's events. `orders.staged` has
one partition a board: one worker owns it, and only that worker writes to the board. An installation has one board;
several installations share a Kafka by prefix, each with its own topics and consumer group.

No topic is compacted: the key is the customer, so compaction would keep one event a customer and lose all other orders.
An event older than its retention was settled long before; if not, the lost-event sweep finds its order in SQL.
"""

from dataclasses import dataclass

from connectors import kafka
from schemas import events

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """One topic. `days` is its retention, from the time of each event."""

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
# The lanes that an event passes, one after the other. The last three topics only lead to SQL, where a retry starts.
LANES = ((CHANGED,), (STAGED,), (SYNCED, FAILED), (DEAD_LETTER,))


def named(topic: Topic, prefix: str) -> str:
    """The name of the topic on the broker, with the prefix of this installation."""
    return prefix + topic.name


def specs(prefix: str, replication: int) -> list[kafka.TopicSpec]:
    """The topics that `setup` creates and `validate` compares with the broker."""
    return [
        kafka.TopicSpec(
            name=named(topic, prefix),
            partitions=topic.partitions,
            replication=replication,
            config={
                "retention.ms": str(topic.days * DAY_MS),
                "cleanup.policy": "delete",
                # With one broker of three away, Kafka still accepts events and stores each of them twice.
                "min.insync.replicas": "2" if replication >= 3 else "1",
            },
        )
        for topic in ALL
    ]
