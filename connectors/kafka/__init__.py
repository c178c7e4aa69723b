"""Apache Kafka by its own clients, and the embedded broker.

    producer.py        the one event producer of a process
    admin.py           topics: create, compare, offsets, lag
    reader.py          a topic read by offset or time, beside the live group
    client.py          what the three share: timeouts, errors as ours, BrokerNoise
    embedded.py        a real Kafka broker as a child process, on loopback
    embedded_node.py   its configuration and its storage
    embedded_fetch.py  its jars, fetched once

`kafka.Producer`, `kafka.Admin` and the other names below are what the rest of ordersync uses.
Imports: connectors.errors, backoff, locks, processes. Imported by: streams (layer 0 and above).
"""

from connectors.kafka.admin import Admin as Admin
from connectors.kafka.admin import TopicMissing as TopicMissing
from connectors.kafka.admin import TopicSpec as TopicSpec
from connectors.kafka.client import BrokerNoise as BrokerNoise
from connectors.kafka.producer import OutgoingMessage as OutgoingMessage
from connectors.kafka.producer import Producer as Producer
