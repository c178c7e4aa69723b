"""The common part of every librdkafka client of ours: settings, logs, and errors translated into our tree."""

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

# Settings and rights: a repeat does not help, an operator must act.
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
# These pass soon after the start of a broker, the creation of a topic or a change of leaders: once groups are loaded,
# leaders lead, and the client knows them.
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
AWAY = {KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._TRANSPORT}
_TRY_EVERY = 0.05  # seconds
# Seconds that one request may take; a broker that takes longer hangs, even when its connections are open.
ANSWER_WITHIN = 10.0
# Seconds without any answer after which a client is replaced by a new one: it may have forgotten every broker, see
# docs/decisions/dead-client-is-replaced.md.
RENEW_AFTER = ANSWER_WITHIN
# Lines of aiokafka 0.14 (some 100 a second) and of librdkafka 2.16 whose broker was killed.
_NOISE = re.compile(
    r"Unable connect to node|Unable to (update|request) metadata|Failed fetch (messages|offsets)"
    r"|Got error produce response"
    r"|Coordinator Request failed|[Mm]arking (the )?coordinator dead|Heartbeat send request failed"
    r"|Connect to .* failed|Connection setup timed out|Disconnected|Receive failed|Failed to resolve"
    r"|brokers are down|request\(s\) timed out|Timed out \d+ in-flight|ApiVersionRequest failed: Local: Timed out"
)
# Lines about a broker that has just started, or about a group that assigns its partitions: both clients repeat the
# request by themselves.
_PATIENCE = re.compile(
    r"Coordinator load in progress|GroupCoordinatorNotAvailable|CoordinatorLoadInProgress"
    r"|Heartbeat failed for group .* (is either not started or not valid|because it is rebalancing)"
    # A deleted topic: the watchdog logs it once and ends the process.
    r"|not found in cluster metadata|not found in cache|OffsetCommit failed .* Unknown topic|Ignoring missing topic"
)
# The caller gets this as an exception; the line would repeat it at every attempt to connect.
_REFUSAL = re.compile(r"SASL authentication error|SSL handshake failed")
_AIOKAFKA_BACK = "Discovered coordinator"
# Faust's list of unfinished events contains their whole values: orders, which belong in no log.
_PAYLOADS = "wait_empty: Waiting for tasks"
# Each client queues its lines, so those of another client may arrive this long after the broker's return.
_LATE = timedelta(seconds=2)


def translate(error: KafkaError, bootstrap: str, doing: str) -> errors.OrdersyncError:
    """Our error for librdkafka's, with the text of what ordersync was `doing` at these bootstrap servers."""
    text = f"Kafka at {bootstrap}, {doing}: {' '.join(error.str().split())} ({error.name()})"
    if error.code() in _REFUSED:
        return errors.Misconfigured(text, code=error.name())
    if error.code() in _TOO_LARGE:
        return errors.Rejected(text, code=error.name())
    return errors.Transient(text)


def reason(exception: KafkaException) -> KafkaError:
    """The KafkaError that the exception carries."""
    error = exception.args[0]
    assert isinstance(error, KafkaError)
    return error


def patiently(ask: Callable[[], Answer], timeout: float, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """The answer of `ask`, which is repeated for up to `timeout` seconds while the brokers are not ready.

    Raises KafkaException, untranslated.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except KafkaException as error:
            if reason(error).code() not in _NOT_YET or time.monotonic() > deadline:
                raise
        sleep(_TRY_EVERY)


def create(client: Callable[[dict[str, Any]], Client], settings: dict[str, Any]) -> Client:
    """A new client. Raises Misconfigured when librdkafka does not accept its settings."""
    try:
        return client(settings)
    except KafkaException as error:
        raise translate(reason(error), settings["bootstrap.servers"], "creating a client") from error


class BrokerNoise(logging.Filter):
    """Replaces the many log lines of clients whose broker is away by one line then, and one on its return.

    librdkafka's clients report to it directly; for aiokafka, `attach` it. Logs rarely mention a broker's return, so a
    caller that gets an answer of Kafka calls `back`, which costs nothing when the broker was not away. One object
    serves all clients and threads of a process; `since` (UTC) is for the status page.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.since: datetime | None = None
        self._clock = clock
        self._returned: datetime | None = None
        self._held_back = 0
        self._lock = threading.Lock()

    def attach(self, *names: str) -> None:
        """Filters these loggers, aiokafka's by default, and the existing loggers below them.

        Python does not apply the filter of a logger to the lines of its children, so each child gets it too.
        """
        for name in names or ("aiokafka",):
            known = [other for other in logging.root.manager.loggerDict if other.startswith(f"{name}.")]
            for each in (name, *known):
                logging.getLogger(each).addFilter(self)

    def detach(self) -> None:
        """Takes the filter off every logger."""
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return not self.absorb(record.levelno, record.getMessage())

    def absorb(self, level: int, text: str) -> bool:
        """Whether this line need not be logged, because it is about a broker that is away, or about patience."""
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
        """Notes that the broker is away; logs the first such report."""
        with self._lock:
            self._held_back += 1
            now = self._clock()
            if self.since is not None or (self._returned is not None and now - self._returned < _LATE):
                return
            self.since = now
        log.warning("broker away since %s: %s", self.since.isoformat(timespec="seconds"), reason)

    def back(self) -> None:
        """Notes that the broker answers; logs it once after an absence."""
        if self.since is None:
            return
        with self._lock:
            since, held_back = self.since, self._held_back
            self.since, self._held_back, self._returned = None, 0, self._clock()
        if since is not None:
            seconds = (self._clock() - since).total_seconds()
            log.warning("broker back after %.0f s, %d log lines held back", seconds, held_back)


class Watch:
    """Receives the log of one client, and its errors that belong to no call.

    Only such an error reports a refused password; the calls of the client then fail as if the broker were away.
    """

    def __init__(self, bootstrap: str, noise: BrokerNoise | None) -> None:
        self.bootstrap = bootstrap
        self.noise = noise or BrokerNoise()
        self.refused: errors.OrdersyncError | None = None
        self._late = False
        self._silent_since: float | None = None

    def settings(self, security: Mapping[str, str]) -> dict[str, Any]:
        """The settings of any client. `security` has librdkafka's own names: security.protocol, sasl.* …"""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": "ordersync",
            # The default of 10 s is too long for a broker that restarts on the same machine.
            "reconnect.backoff.max.ms": 1000,
            "socket.timeout.ms": round(ANSWER_WITHIN * 1000),
            "error_cb": self._on_error,
            "logger": self,
            **security,
        }

    def log(self, level: int, form: str, *arguments: object) -> None:
        """Takes a log line of librdkafka, which calls this object as a logger."""
        text = form % arguments
        # Lines below a warning are about its own work, such as idle connections that it closes.
        if self._late or level < logging.WARNING or _REFUSAL.search(text):
            log.debug("%s", text)
        elif not self.noise.absorb(level, text):
            log.log(level, "%s", text)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _REFUSED:
            self.refused = translate(error, self.bootstrap, "connecting")
        elif error.code() in AWAY and not self.refused and not self._late:
            self.noise.away(error.str())

    def worked(self, serve: Callable[[float], object] | None = None) -> None:
        """Notes that the broker has answered. What `serve` still delivers is older than that, so only debug logs it."""
        if serve is not None:
            self._late = True
            serve(0)
            self._late = False
        self.refused = None
        self._silent_since = None
        self.noise.back()

    def lost(self) -> bool:
        """Notes a request that got no answer. True once in RENEW_AFTER seconds without any: replace the client."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since < RENEW_AFTER:
            return False
        self._silent_since = now
        return True

    def verdict(self, error: KafkaError, doing: str) -> errors.OrdersyncError:
        """The error to raise: the refusal that explains this one, if the client reported one, else its translation."""
        return self.refused or translate(error, self.bootstrap, doing)
