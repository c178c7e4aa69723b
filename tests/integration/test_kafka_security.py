"""A broker that asks for a login or shows a certificate: both clients get in, and whoever is refused is told in a line.

One broker with five listeners: a login in the clear, TLS, both, and TLS with a certificate that is not for its address
or is another CA's.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from connectors import errors, kafka, processes
from connectors.kafka import embedded as kafka_local
from connectors.kafka import embedded_node
from connectors.simulator import config as simulator_config
from schemas import detection
from schemas.batches import SyncState
from streams import resources, settings
from streams.commands import setup
from streams.runtime import connect, embedded, passes, status, supervisor

ROOT = Path(__file__).parents[2]
HOST = embedded_node.HOST
RIGHT, WRONG = "right-s3cret", "wrong-s3cret"
LISTENERS = {
    "LOGIN": "SASL_PLAINTEXT",
    "TLS": "SSL",
    "BOTH": "SASL_SSL",
    "ELSEWHERE": "SSL",
    "STRANGER": "SSL",
}
Until = Callable[..., Any]


@dataclass(frozen=True)
class Secure:
    """Where it listens, and the CA's file."""

    ports: dict[str, int]
    ca_file: Path

    def settings(self, listener: str, home: Path, **more: Any) -> settings.Settings:
        chosen: dict[str, Any] = {
            "home": home,
            "kafka_bootstrap_servers": f"{HOST}:{self.ports[listener]}",
            "kafka_security_protocol": LISTENERS[listener],
            "kafka_username": "alice",
            "kafka_password": RIGHT,
            "kafka_ca_file": self.ca_file if LISTENERS[listener].endswith("SSL") else None,
        }
        return settings.Settings(**chosen | more)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in LISTENERS}
        for one in sockets.values():
            one.bind((HOST, 0))
        ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    own = embedded_node.choose_ports((folder / "kafka").resolve(), embedded_node.State())
    listeners = ",".join(
        [f"PLAINTEXT://{HOST}:{own.clients}", f"CONTROLLER://{HOST}:{own.controller}"]
        + [f"{name}://{HOST}:{port}" for name, port in ports.items()]
    )
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"} | LISTENERS
    told = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
    }
    certificates = {
        "TLS": ours.issue_cert(HOST),
        "BOTH": ours.issue_cert(HOST),
        "ELSEWHERE": ours.issue_cert("kafka.example.com"),
        "STRANGER": other.issue_cert(HOST),
    }
    for name, certificate in certificates.items():
        prefix = f"listener.name.{name.lower()}.ssl."
        told |= {
            prefix + "keystore.type": "PEM",
            prefix + "keystore.certificate.chain": pem(*(blob.bytes() for blob in certificate.cert_chain_pems)),
            prefix + "keystore.key": pem(pkcs8(certificate.private_key_pem.bytes())),
        }
    module = "org.apache.kafka.common.security"
    for name in ("login", "both"):
        told |= {
            f"listener.name.{name}.plain.sasl.jaas.config": (
                f'{module}.plain.PlainLoginModule required user_alice="{RIGHT}";'
            ),
            f"listener.name.{name}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        }
    with kafka_local.LocalKafka(folder / "kafka", settings=told, users={"alice": RIGHT}):
        yield Secure(ports, folder / "ca.pem")


def pem(*blobs: bytes) -> str:
    """On one line, as .properties files want it."""
    return "".join(blob.decode() for blob in blobs).replace("\n", "\\n")


def pkcs8(key: bytes) -> bytes:
    """The only form of a key that Java reads."""
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def parts_of(chosen: settings.Settings) -> resources.Resources:
    return resources.Resources(chosen, bootstrap=chosen.kafka_bootstrap_servers)


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("LOGIN", "PLAIN"), ("LOGIN", "SCRAM-SHA-512"), ("TLS", "PLAIN"), ("BOTH", "PLAIN"), ("BOTH", "SCRAM-SHA-512")],
)
def test_topics_are_made_and_events_sent(secure: Secure, tmp_path: Path, listener: str, mechanism: str) -> None:
    prefix = f"{listener}-{mechanism}-"
    parts = parts_of(secure.settings(listener, tmp_path, kafka_sasl_mechanism=mechanism, topic_prefix=prefix))
    assert len(parts.ensure_topics()) == 5
    parts.producer.send_all([kafka.OutgoingMessage(f"{prefix}orders.changed", "GREYSON", b"value")])
    assert sum(parts.admin.end_offsets([f"{prefix}orders.changed"]).values()) == 1
    parts.close()


@pytest.mark.parametrize("listener", ["ELSEWHERE", "STRANGER"])
def test_a_broker_that_cannot_prove_who_it_is_is_refused(secure: Secure, tmp_path: Path, listener: str) -> None:
    parts = parts_of(secure.settings(listener, tmp_path))
    with pytest.raises(errors.Misconfigured) as refused:
        parts.ensure_topics()
    assert str(refused.value).startswith(f"Kafka at {HOST}:{secure.ports[listener]}, connecting: ")
    assert "certificate" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(errors.Misconfigured, match="certificate"):
        parts.producer.send_all([kafka.OutgoingMessage("orders.changed", "GREYSON", b"value")])
    parts.close()


def test_by_default_only_the_systems_authorities_are_trusted(secure: Secure, tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="certificate"):
        parts_of(secure.settings("TLS", tmp_path, kafka_ca_file=None)).ensure_topics()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_named(secure: Secure, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.Misconfigured, match=f"^kafka_ca_file {file}: .*Name a PEM file with the CA$"):
        parts_of(secure.settings("TLS", tmp_path, kafka_ca_file=file)).ensure_topics()


def environment(chosen: settings.Settings, password: str = RIGHT) -> dict[str, str]:
    return {
        **os.environ,
        **chosen.environment(),
        "ORDERSYNC_KAFKA_PASSWORD": password,
        "MONDAY_API_TOKEN": simulator_config.TOKEN,
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def board(tmp_path: Path) -> Iterator[str]:
    limits = resources.Resources(settings.Settings(home=tmp_path, monday_minute=2.0)).limits
    simulator = embedded.Simulator(settings.Settings(home=tmp_path), limits)
    (tmp_path / "board").mkdir()
    yield simulator.start()
    simulator.stop()


@pytest.mark.parametrize(("listener", "mechanism"), [("LOGIN", "PLAIN"), ("TLS", "PLAIN"), ("BOTH", "SCRAM-SHA-512")])
def test_a_worker_reads_and_writes_through_it(
    secure: Secure, tmp_path: Path, board: str, until: Until, listener: str, mechanism: str
) -> None:
    chosen = secure.settings(
        listener,
        tmp_path,
        kafka_sasl_mechanism=mechanism,
        topic_prefix=f"worker-{listener}-",
        monday_url=board,
        monday_minute=2.0,
        monday_in_flight=5.0,
        monday_token=simulator_config.TOKEN,
    )
    parts = parts_of(chosen)
    parts.monday_url = board
    parts.db.apply_schema(resources.utcnow())
    setup.fill_with_samples(parts, orders=69, seed=3)
    parts.ensure_topics()
    key = parts.mappings.board.key
    asyncio.run(connect.ask_board(parts, lambda shown: shown.ensure_key_column(key.id, key.title)))
    assert parts.detector(passes.publisher(parts)).run(detection.Filters(limit=3)).emitted == 3
    log = tmp_path / "worker.log"
    worker = processes.Child(supervisor.ordersync("work"), log=log, environment=environment(chosen), folder=ROOT)
    try:
        until(lambda: promoted(parts) == 3 or not worker.running, "three orders have gone all the way")
        assert worker.running, log.read_text()
    finally:
        worker.signal(signal.SIGTERM)
        worker.wait(60)
        worker.stop(0)
        parts.close()
    assert RIGHT not in log.read_text()


def promoted(parts: resources.Resources) -> int:
    return sum(one.orders.get(SyncState.IN_SYNC, 0) for one in status.collect(parts).customers)


def test_a_wrong_password_ends_every_command_at_its_start_in_one_line(
    secure: Secure, tmp_path: Path, board: str
) -> None:
    resources.Resources(settings.Settings(home=tmp_path)).db.apply_schema(resources.utcnow())
    plain, scram = (
        environment(secure.settings("BOTH", tmp_path, kafka_sasl_mechanism=mechanism, monday_url=board), WRONG)
        for mechanism in ("PLAIN", "SCRAM-SHA-512")
    )
    commanded = [
        (plain, ["work"]),
        (scram, ["work"]),
        (scram, ["detect", "--every", "1"]),
        (plain, ["validate"]),
    ]

    def run(number: int) -> "subprocess.CompletedProcess[str]":
        told, words = commanded[number]
        own = told | {"ORDERSYNC_WORKER": f"worker-{number}", "ORDERSYNC_WEB_PORT": "0"}
        return subprocess.run(
            supervisor.ordersync(*words), env=own, cwd=ROOT, capture_output=True, text=True, timeout=120
        )

    began = time.monotonic()
    with futures.ThreadPoolExecutor(len(commanded)) as pool:
        ended = list(pool.map(run, range(len(commanded))))
    print(f"{len(ended)} commands at once were refused after {time.monotonic() - began:.1f} s")
    for one in ended:
        assert (one.returncode, one.stdout) == (1, ""), one.stderr
        assert one.stderr.count("\n") == 1, one.stderr
        assert one.stderr.startswith(f"ordersync: Kafka at {HOST}:{secure.ports['BOTH']}, connecting: ")
        assert "uthentication failed" in one.stderr
        assert WRONG not in one.stderr
