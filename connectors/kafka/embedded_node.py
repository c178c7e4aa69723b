"""What one embedded broker is told and what it leaves in its folder: ports, properties, state."""

import json
import os
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from connectors import processes

HOST = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections: such a connection could occupy
# the broker's port while it is away, even a client's own attempt to reach it.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True)
class State:
    """What the next owner, and whoever attaches, must know: the ports, and the JVM that was run last.

    `ready` means that the JVM is a broker that has answered.
    """

    clients: int = 0
    controller: int = 0
    jvm: processes.Identity | None = None
    ready: bool = False

    @classmethod
    def read(cls, folder: Path) -> Self:
        try:
            found = json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return cls()
        return cls(**found | {"jvm": processes.Identity.parse(found["jvm"])})

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        partial = folder / "state.json.partial"
        partial.write_text(json.dumps(vars(self) | {"jvm": str(self.jvm)}))
        partial.replace(folder / "state.json")


def choose_ports(folder: Path, last: State) -> State:
    """The ports of the last run if they are free, else two free ones.

    The search begins at a place that depends on the folder, so that two brokers that start at once do not
    choose the same.
    """
    if last.clients and _free(last.clients) and _free(last.controller):
        return State(last.clients, last.controller)
    start = zlib.crc32(os.fsencode(folder))
    free = (port for i in range(len(_PORTS)) if _free(port := _PORTS[(start + i) % len(_PORTS)]))
    return State(next(free), next(free))


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _free(port: int) -> bool:
    with socket.socket() as listener:
        # As Java does: connections of the last run that are still winding down do not occupy it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def properties(ports: State, extra: Mapping[str, str]) -> str:
    """`server.properties`: broker and controller in one, internal topics as small as one broker needs."""
    listeners = f"PLAINTEXT://{HOST}:{ports.clients},CONTROLLER://{HOST}:{ports.controller}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{ports.controller}",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        # Relative, so that no path has to be written in the encoding of .properties files.
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        # A group's first member need not wait 3 s for others.
        "group.initial.rebalance.delay.ms": "0",
        # After kill -9 the controller refuses the node until its last session has expired: with the default
        # of 9 s a restart took 12.7 s, with 2 s 4.4 s.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "2000",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
    }
    return "".join(f"{name}={value}\n" for name, value in (settings | dict(extra)).items())
