"""The configuration of one embedded broker and the files in its folder: ports, properties and state."""

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
# Below the range from which the kernel takes ports for outgoing connections: while the broker is away, such a
# connection, even a client's own attempt to reach it, could occupy the broker's port.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True)
class State:
    """The ports and the JVM of the last start, for the next owner and for processes that attach.

    `ready` says that the JVM is a broker that has answered.
    """

    clients: int = 0
    controller: int = 0
    jvm: processes.Identity | None = None
    ready: bool = False

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The state that `write` stored in `folder`; without ports and JVM when there is none."""
        try:
            stored = json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return cls()
        return cls(**stored | {"jvm": processes.Identity.parse(stored["jvm"])})

    def write(self, folder: Path) -> None:
        """Stores the state in `folder`, whole or not at all."""
        partial = folder / "state.json.partial"
        partial.write_text(json.dumps(vars(self) | {"jvm": str(self.jvm)}))
        partial.replace(folder / "state.json")


def choose_ports(folder: Path, last: State) -> State:
    """The ports of the last start if they are free, else two free ones.

    The search begins at a port that depends on the folder, so that two brokers that start at once differ.
    """
    if last.clients and _free(last.clients) and _free(last.controller):
        return State(last.clients, last.controller)
    start = zlib.crc32(os.fsencode(folder))
    free = (port for i in range(len(_PORTS)) if _free(port := _PORTS[(start + i) % len(_PORTS)]))
    return State(next(free), next(free))


def listening(port: int) -> bool:
    """Whether a process accepts connections on the port."""
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _free(port: int) -> bool:
    with socket.socket() as listener:
        # Java sets it too: closing connections of the last start do not occupy the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def properties(ports: State, extra: Mapping[str, str]) -> str:
    """The text of `server.properties`: broker and controller in one, internal topics as small as one broker needs."""
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
        # A relative path needs no encoding of .properties files.
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        # The first member of a group need not wait 3 s for others.
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
