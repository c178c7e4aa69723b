"""What every librdkafka client of ours shares: settings, logs, and errors translated into our tree."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from connectors import errors

log = logging.getLogger(__name__)

Client = TypeVar("Client")
Answer = TypeVar("Answer")

# Settings and rights: trying again does not help, a person must act.
_REFUSED = {
    KafkaError._AUTHENTICATION,
    KafkaError._INVALID_ARG,
    KafkaError._SSL,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.POLICY_VIOLATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
# Soon after the start of a broker, the making of a topic or a change of leaders: until groups are loaded, leaders lead,
# and the client has heard which.
_NOT_YET = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
_AWAY = {KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._TRANSPORT}
_TRY_EVERY = 0.05  # seconds
# Seconds that one request may take: then the broker hangs, be its connections open or not.
ANSWER_WITHIN = 10.0
# Seen from aiokafka 0.14 (some 100 lines a second) and from librdkafka 2.16 with their broker killed.
_NOISE = re.compile(
    r"Unable connect to node|Unable to (update|request) metadata|Failed fetch (messages|offsets)"
    r"|Got error produce response"
    r"|Coordinator Request failed|[Mm]arking (the )?coordinator dead|Heartbeat send request failed"
    r"|Connect to .* failed|Connection setup timed out|Disconnected|Receive failed|Failed to resolve"
    r"|brokers are down|request\(s\) timed out|Timed out \d+ in-flight|ApiVersionRequest failed: Local: Timed out"
)
# A broker that has just started, or a group that deals out its partitions, answers and asks for patience: both clients
# ask again by themselves.
_PATIENCE = re.compile(
    r"Coordinator load in progress|GroupCoordinatorNotAvailable|CoordinatorLoadInProgress"
    r"|Heartbeat failed for group .* (is either not started or not valid|because it is rebalancing)"
    # A topic that was deleted: the watchdog says so once, and ends the process.
    r"|not found in cluster metadata|not found in cache|OffsetCommit failed .* Unknown topic|Ignoring missing topic"
)
# Raised to whoever calls; the line would say it again at every attempt to connect.
_REFUSAL = re.compile(r"SASL authentication error|SSL handshake failed")
_AIOKAFKA_BACK = "Discovered coordinator"
# Faust's list of what is still in work holds every value whole: orders, which belong in no log.
_PAYLOADS = "wait_empty: Waiting for tasks"
# Each client queues its lines: another one's come this much after the broker's return.
_LATE = timedelta(seconds=2)


def translate(error: KafkaError, bootstrap: str, doing: str) -> errors.OrdersyncError:
    """The error of our tree that stands for librdkafka's, met while `doing` something at these bootstrap servers."""
    text = f"Kafka at {bootstrap}, {doing}: {' '.join(error.str().split())} ({error.name()})"
    if error.code() in _REFUSED:
        return errors.Misconfigured(text, code=error.name())
    if error.code() in _TOO_LARGE:
        return errors.Rejected(text, code=error.name())
    return errors.Transient(text)


def reason(exception: KafkaException) -> KafkaError:
    """What the exception carries."""
    error = exception.args[0]
    assert isinstance(error, KafkaError)
    return error


def patiently(ask: Callable[[], Answer], timeout: float, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """The answer; asked for again, up to `timeout` seconds, while the brokers are not ready to give it."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except KafkaException as error:
            if reason(error).code() not in _NOT_YET or time.monotonic() > deadline:
                raise
        sleep(_TRY_EVERY)


def made(client: Callable[[dict[str, Any]], Client], settings: dict[str, Any]) -> Client:
    """The client; Misconfigured if librdkafka does not accept its settings."""
    try:
        return client(settings)
    except KafkaException as error:
        raise translate(reason(error), settings["bootstrap.servers"], "making a client") from error


class BrokerNoise(logging.Filter):
    """Stands for the flood of log lines of clients whose broker is away: one line then, one when it is back.

    librdkafka's clients know of it directly; for aiokafka, `attach` it. Logs rarely tell of a broker's return:
    who sees Kafka work calls `back`, which costs nothing when it was never away. One object serves all
    clients and threads of a process; `since` is for the status page.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.since: datetime | None = None
        self._clock = clock
        self._returned: datetime | None = None
        self._held_back = 0
        self._lock = threading.Lock()

    def attach(self, *names: str) -> None:
        """Filter these loggers, aiokafka's by default, and those below them that exist by now.

        A logger's filter is not asked for what its children log, so each child needs its own.
        """
        for name in names or ("aiokafka",):
            known = [other for other in logging.root.manager.loggerDict if other.startswith(f"{name}.")]
            for each in (name, *known):
                logging.getLogger(each).addFilter(self)

    def detach(self) -> None:
        """Filter no logger any more."""
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return not self.absorb(record.levelno, record.getMessage())

    def absorb(self, level: int, text: str) -> bool:
        """Whether this line is about the broker being away, and so need not be shown."""
        if text.startswith(_AIOKAFKA_BACK):
            self.back()
        if text.startswith(_PAYLOADS):
            return True
        if _PATIENCE.search(text):
            log.debug("%s", text)
            return True
        if level < logging.WARNING or not _NOISE.search(text):
            return False
        self.away(text)
        return True

    def away(self, reason: str) -> None:
        with self._lock:
            self._held_back += 1
            now = self._clock()
            if self.since is not None or (self._returned is not None and now - self._returned < _LATE):
                return
            self.since = now
        log.warning("broker away since %s: %s", self.since.isoformat(timespec="seconds"), reason)

    def back(self) -> None:
        if self.since is None:
            return
        with self._lock:
            since, held_back = self.since, self._held_back
            self.since, self._held_back, self._returned = None, 0, self._clock()
        if since is not None:
            seconds = (self._clock() - since).total_seconds()
            log.warning("broker back after %.0f s, %d log lines held back", seconds, held_back)


class Watch:
    """What one client says unasked: its log, and errors that belong to no call.

    A refused password is only told here; to its callers the broker then seems to be merely away.
    """

    def __init__(self, bootstrap: str, noise: BrokerNoise | None) -> None:
        self.bootstrap = bootstrap
        self.noise = noise or BrokerNoise()
        self.refused: errors.OrdersyncError | None = None
        self._late = False

    def settings(self, security: Mapping[str, str]) -> dict[str, Any]:
        """The settings of any client. `security` is in librdkafka's own words: security.protocol, sasl.* …"""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": "ordersync",
            # Default 10 s: too long for a broker on the same machine that is started again.
            "reconnect.backoff.max.ms": 1000,
            "socket.timeout.ms": round(ANSWER_WITHIN * 1000),
            "error_cb": self._on_error,
            "logger": self,
            **security,
        }

    def log(self, level: int, form: str, *arguments: object) -> None:
        """librdkafka's log lines; the client calls this as it would a logger."""
        text = form % arguments
        # Below a warning it tells of its own work: of connections that it closes when they are idle, and the like.
        if self._late or level < logging.WARNING or _REFUSAL.search(text):
            log.debug("%s", text)
        elif not self.noise.absorb(level, text):
            log.log(level, "%s", text)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _REFUSED:
            self.refused = translate(error, self.bootstrap, "connecting")
        elif error.code() in _AWAY and not self.refused and not self._late:
            self.noise.away(error.str())

    def worked(self, serve: Callable[[float], object] | None = None) -> None:
        """The broker has answered. What the client still has to tell, when it is served, is older than that."""
        if serve is not None:
            self._late = True
            serve(0)
            self._late = False
        self.refused = None
        self.noise.back()

    def verdict(self, error: KafkaError, doing: str) -> errors.OrdersyncError:
        """The error to raise: the refusal that explains it, if one was told, else its own translation."""
        return self.refused or translate(error, self.bootstrap, doing)
