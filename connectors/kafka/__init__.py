"""Apache Kafka through its own clients, and the embedded broker.

    producer.py        the one event producer of a process
    admin.py           topics: create, compare, offsets, lag
    reader.py          a topic read by offset or time, beside the live group
    client.py          for all three: settings, errors as ours, BrokerNoise
    embedded.py        a real Kafka broker as a child process, on loopback
    embedded_node.py   its configuration and its storage
    embedded_fetch.py  its jars, fetched once

Other packages use the names below, such as `kafka.Producer` and `kafka.Admin`.
Imports: connectors.errors, connectors.locks, connectors.processes; imported by: streams.
"""

from connectors.kafka.admin import Admin as Admin
from connectors.kafka.admin import TopicMissing as TopicMissing
from connectors.kafka.admin import TopicSpec as TopicSpec
from connectors.kafka.client import BrokerNoise as BrokerNoise
from connectors.kafka.producer import OutgoingMessage as OutgoingMessage
from connectors.kafka.producer import Producer as Producer
