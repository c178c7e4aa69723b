"""The embedded broker: one owner of a folder, no event lost by kill -9, no process left."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from connectors import errors, kafka, locks, processes
from connectors.kafka import embedded, embedded_node
from connectors.kafka import reader as kafka_replay

pytestmark = pytest.mark.processes

Until = Callable[..., Any]
WAYS_OUT = "set KAFKA_BOOTSTRAP_SERVERS to a broker of yours, or start one with `docker compose up kafka`"
FOREGROUND = [sys.executable, "-m", "connectors.kafka.embedded", "--folder"]
ROOT = Path(embedded.__file__).parents[2]
# Seconds: what one answer may take where a machine does other work too.
PATIENCE = 120.0
# Longer than any test may take: who waited for this deadline would never return in time.
NEVER = 3600.0


def bound(port: int = 0) -> socket.socket:
    """A listening socket: its port is taken until it is closed."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((embedded_node.HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def jvm(folder: Path) -> processes.Identity:
    identity = embedded_node.State.read(folder).jvm
    assert identity is not None
    return identity


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def with_login(folder: Path, port: int) -> dict[str, str]:
    """Broker settings for one more listener, on which alice must log in."""
    ports = embedded_node.choose_ports(folder.resolve(), embedded_node.State())
    listeners = (
        f"PLAINTEXT://{embedded_node.HOST}:{ports.clients},CONTROLLER://{embedded_node.HOST}:{ports.controller},"
        f"LOGIN://{embedded_node.HOST}:{port}"
    )
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.login.plain.sasl.jaas.config": f'{module} required user_alice="right";',
    }


class Own:
    """A broker of this file's own."""

    def __init__(self, folder: Path) -> None:
        with bound() as listener:
            port = listener.getsockname()[1]
        self.folder = folder
        self.kafka = embedded.LocalKafka(folder, settings=with_login(folder, port))
        self.bootstrap = self.kafka.start()
        self.login = f"{embedded_node.HOST}:{port}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    broker = Own(tmp_path_factory.mktemp("own kafka ü"))
    yield broker
    broker.kafka.stop()
    assert embedded.LocalKafka.attach(broker.folder) is None
    assert not embedded_node.listening(int(broker.bootstrap.rpartition(":")[2]))


def test_others_attach_and_cannot_own(own: Own) -> None:
    assert embedded.LocalKafka.attach(own.folder) == own.bootstrap
    with pytest.raises(errors.Misconfigured, match=f"is in use by process {os.getpid()}") as refused:
        embedded.LocalKafka(own.folder).start()
    assert refused.value.code == "LOCKED"
    assert kafka.Admin(own.bootstrap).reachable(PATIENCE)


def test_a_second_start_is_harmless(own: Own) -> None:
    pid = own.kafka.pid
    assert own.kafka.start() == own.bootstrap
    assert own.kafka.pid == pid


def test_a_refused_login_is_reported_as_such_and_at_once(own: Own, until: Until) -> None:
    kafka.Admin(own.bootstrap, timeout=PATIENCE).ensure([kafka.TopicSpec("login", 1)])
    alice = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "alice"}
    message = kafka.OutgoingMessage("login", "k", b"v")
    with kafka.Producer(own.login, alice | {"sasl.password": "wrong"}, timeout=NEVER) as producer:
        with pytest.raises(errors.Misconfigured, match="Authentication failed") as refused:
            producer.send_all([message])
        assert refused.value.code == "_AUTHENTICATION"
        # The broker is corrected without a restart: the same producer works once more.
        producer._producer.set_sasl_credentials("alice", "right")

        def sent() -> bool:
            # An attempt to connect that began with the wrong password may still be refused.
            with contextlib.suppress(errors.Misconfigured):
                producer.send_all([message])
                return True
            return False

        until(sent, "it works again")
    asks: list[Callable[[kafka.Admin], object]] = [
        lambda admin: admin.reachable(NEVER),
        lambda admin: admin.end_offsets(["login"]),
    ]
    for ask in asks:
        with pytest.raises(errors.Misconfigured, match="Authentication failed"):
            ask(kafka.Admin(own.login, alice | {"sasl.password": "wrong"}, timeout=NEVER))
    right = kafka.Admin(own.login, alice | {"sasl.password": "right"}, timeout=PATIENCE)
    assert right.end_offsets(["login"]) == {("login", 0): 1}


def test_acknowledged_events_survive_kill_9_and_clients_reconnect(own: Own) -> None:
    admin = kafka.Admin(own.bootstrap, timeout=PATIENCE)
    admin.ensure([kafka.TopicSpec("kept", 1)])
    messages = [kafka.OutgoingMessage("kept", "k", str(n).encode()) for n in range(500)]
    with (
        kafka.Producer(own.bootstrap, timeout=PATIENCE) as patient,
        kafka.Producer(own.bootstrap, timeout=1) as hasty,
    ):
        patient.send_all(messages)
        own.kafka.kill()
        assert embedded.LocalKafka.attach(own.folder) is None
        assert not admin.reachable(0.5)
        with pytest.raises(errors.Transient, match="kept"):
            hasty.send_all(messages[:1])
        assert own.kafka.start() == own.bootstrap
        assert embedded.LocalKafka.attach(own.folder) == own.bootstrap
        assert admin.end_offsets(["kept"]) == {("kept", 0): 500}
        patient.send_all(messages)
    assert admin.end_offsets(["kept"]) == {("kept", 0): 1000}


def epoch(own: Own) -> int:
    """How often the partition's leader was elected, as a client tells that has just asked for it."""
    led = TopicPartition("led", 0)
    kafka.Admin(own.bootstrap, timeout=PATIENCE).end_offsets([led.topic])
    asked = AdminClient({"bootstrap.servers": own.bootstrap, "log_level": 0})
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    return int(asked.list_offsets({led: latest})[led].result(PATIENCE).leader_epoch)


def leaders_change(own: Own) -> None:
    """The broker stands still for longer than its controller bears (2 s, connectors/kafka/embedded_node.py), as on a
    machine that is overloaded: every leader is re-elected, and clients use the old ones.
    """
    before = epoch(own)
    # The broker's heartbeat may arrive before its controller checks for a timeout: then the broker is frozen again.
    while epoch(own) == before:
        assert own.kafka.pid is not None
        os.kill(own.kafka.pid, signal.SIGSTOP)
        try:
            time.sleep(3)
        finally:
            os.kill(own.kafka.pid, signal.SIGCONT)


def test_offsets_are_read_while_the_leaders_change(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = kafka.Admin(own.bootstrap, timeout=PATIENCE)
    admin.ensure([kafka.TopicSpec("led", 1)])
    with kafka.Producer(own.bootstrap, timeout=PATIENCE) as producer:
        producer.send_all([kafka.OutgoingMessage("led", "k", b"v")])
    # Between the read of the topics, whose leaders it uses, and the request.
    read = admin._topics
    changes = iter([leaders_change])

    def topics() -> Any:
        found = read()
        for change in changes:
            change(own)
        return found

    monkeypatch.setattr(admin, "_topics", topics)
    assert admin.end_offsets(["led"]) == {("led", 0): 1}
    with kafka_replay.TopicReader(own.bootstrap, "led", timeout=PATIENCE) as reader:
        for ask, answer in (
            (lambda: reader.bounds(0), (0, 1)),
            (lambda: reader.offset_at(0, datetime(2026, 1, 1, tzinfo=UTC)), 0),
        ):
            assert ask() == answer
            leaders_change(own)
            assert ask() == answer


def test_the_broker_ends_with_its_owner_and_the_next_start_finds_its_data(tmp_path: Path) -> None:
    with subprocess.Popen([*FOREGROUND, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        assert owner.stdout is not None
        first = owner.stdout.readline().strip().removeprefix("KAFKA_BOOTSTRAP_SERVERS=")
        assert embedded.LocalKafka.attach(tmp_path) == first
        kafka.Admin(first, timeout=PATIENCE).ensure([kafka.TopicSpec("kept", 3)])
        owner.kill()
    assert jvm(tmp_path).wait(PATIENCE)
    assert embedded.LocalKafka.attach(tmp_path) is None

    # Someone else has taken the port meanwhile.
    with (
        bound(embedded_node.State.read(tmp_path).clients),
        subprocess.Popen([*FOREGROUND, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner,
    ):
        assert owner.stdout is not None
        second = owner.stdout.readline().strip().removeprefix("KAFKA_BOOTSTRAP_SERVERS=")
        assert second != first
        assert len(kafka.Admin(second, timeout=PATIENCE).end_offsets(["kept"])) == 3
        owner.send_signal(signal.SIGTERM)
        assert owner.wait(PATIENCE) == 0
    assert not jvm(tmp_path).alive()

    broker = embedded.LocalKafka(tmp_path)
    broker.wipe()
    assert [path.name for path in tmp_path.iterdir()] == ["owner.lock"]
    assert locks.owner(tmp_path / "owner.lock") == os.getpid()
    broker.stop()


def test_a_failed_start_ends_the_leftover_and_says_why_and_both_ways_out(tmp_path: Path) -> None:
    leftover = processes.Child(["sleep", "600"], log=tmp_path / "sleep.log")
    embedded_node.State(jvm=processes.Identity.of(leftover.pid), ready=True).write(tmp_path)
    (tmp_path / "formatted").touch()
    broker = embedded.LocalKafka(tmp_path)
    with pytest.raises(errors.Misconfigured) as failed:
        broker.start()
    first, *tail = str(failed.value).splitlines()
    assert first == f"the embedded Kafka ended at its start with code 1; {WAYS_OUT}"
    assert tail[0] == f"The end of {tmp_path / 'broker.log'}:"
    assert "meta.properties" in "".join(tail[1:])
    assert leftover.wait(0) == -signal.SIGKILL
    assert broker.pid is None
    assert locks.owner(tmp_path / "owner.lock") is None


def test_without_jars_the_command_says_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_network(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ended = subprocess.run([*FOREGROUND, tmp_path / "data"], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("the jars of Apache Kafka cannot be fetched: ")
    assert line.endswith(WAYS_OUT)


def test_ports_are_kept_while_they_are_free(tmp_path: Path) -> None:
    chosen = embedded_node.choose_ports(tmp_path, embedded_node.State())
    assert chosen == embedded_node.choose_ports(tmp_path, embedded_node.State())
    assert chosen.clients != chosen.controller
    assert chosen == embedded_node.choose_ports(tmp_path / "other", chosen)
    with bound(chosen.controller):
        other = embedded_node.choose_ports(tmp_path, chosen)
        assert {other.clients, other.controller}.isdisjoint({chosen.controller})
    for port in (chosen.clients, chosen.controller):
        assert 20_000 <= port < 30_000
