"""A topic as it should be, and how one that exists differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be. `config` in Kafka's words, all text: {"retention.ms": "604800000"}."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1

    def differences(self, partitions: int, replicas: int, config: Mapping[str, str | None]) -> list[str]:
        """How the topic differs that has these, and what to do, a sentence each."""
        found = []
        if partitions != self.partitions:
            # Partitions could be added; but then a customer's events would be spread over two of them.
            found.append(
                f"{self.name} has {partitions} partitions, not {self.partitions}: stop poller and workers once "
                "`ordersync status` shows nothing waiting, delete the topic, run `ordersync setup`"
            )
        if replicas != self.replication:
            found.append(
                f"{self.name} has {replicas} replicas, not {self.replication}: change them with "
                "kafka-reassign-partitions.sh, or set ORDERSYNC_KAFKA_REPLICATION to what is meant"
            )
        for key, wanted in self.config.items():
            if config.get(key) != wanted:
                found.append(
                    f"{self.name} has {key} {config.get(key)}, not {wanted}: kafka-configs.sh --alter "
                    f"--entity-type topics --entity-name {self.name} --add-config {key}={wanted}"
                )
        return found
