"""Named points at which a real process may die. The launcher patches them in at its start; production has no hook.

A strike is a file `<point>` in the folder of strikes, which holds how many passages are left, by whichever process.
The last one notes who died when, in `<point>.<time>.died`, and ends its own process with SIGKILL, there and then; or,
for the check of the checker, it raises what nobody knows, stalls before it ends, or hangs for good. Points can be armed
while a process runs.
"""

import fcntl
import functools
import http.client
import inspect
import os
import signal
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import faust

from connectors import kafka
from connectors.monday import transport
from connectors.tables import journal, orders, production, staging
from streams import topics
from streams.detect import step as detect


class Point(StrEnum):
    """In the order in which a change passes them. Each lies right behind the effect that names it."""

    HASH = "hash"
    PRODUCE = "produce"
    SNAPSHOT = "snapshot"
    STAGE_COMMIT = "stage-commit"
    EMIT = "emit"
    INTENT = "intent"
    SEND = "send"
    RESPONSE = "response"
    RESULT_EMIT = "result-emit"
    PROMOTE_COMMIT = "promote-commit"
    ACK = "ack"


OF_POLLER = (Point.HASH, Point.PRODUCE, Point.SNAPSHOT)
OF_WORKER = tuple(point for point in Point if point not in OF_POLLER)


def _to(*wanted: topics.Topic) -> Callable[..., bool]:
    """Whether any of the messages goes to one of these topics."""
    names = tuple(topic.name for topic in wanted)
    return lambda producer, messages: any(message.topic.endswith(names) for message in messages)


def _writes(post: transport.Http, body: str, headers: Mapping[str, str]) -> bool:
    return "Idempotency-Key" in headers


def _leaves(post: transport.Http, body: str, headers: Mapping[str, str]) -> None:
    """The request goes to the kernel as a whole; nobody will read the answer."""
    url = urllib.parse.urlsplit(post._url)
    http.client.HTTPConnection(url.netloc).request("POST", url.path, body.encode(), dict(headers))


@dataclass(frozen=True)
class Place:
    """A method of production, and whether the point lies before or after it.

    `when` chooses among its calls; `last` is done by the last passage before it dies.
    """

    owner: type
    method: str
    before: bool = False
    when: Callable[..., bool] = lambda *args: True
    last: Callable[..., None] = lambda *args: None


PLACES = {
    Point.HASH: Place(detect.Detector, "_compare"),
    Point.PRODUCE: Place(kafka.Producer, "send_all", when=_to(topics.CHANGED)),
    Point.SNAPSHOT: Place(orders.Orders, "move_snapshots"),
    Point.STAGE_COMMIT: Place(staging.Staging, "write"),
    Point.EMIT: Place(kafka.Producer, "send_all", when=_to(topics.STAGED)),
    Point.INTENT: Place(journal.Journal, "open"),
    Point.SEND: Place(transport.Http, "__call__", before=True, when=_writes, last=_leaves),
    Point.RESPONSE: Place(transport.Http, "__call__", when=_writes),
    Point.RESULT_EMIT: Place(kafka.Producer, "send_all", when=_to(topics.SYNCED, topics.FAILED)),
    Point.PROMOTE_COMMIT: Place(production.Production, "promote"),
    Point.ACK: Place(faust.Stream, "ack"),
}


class How(StrEnum):
    """What the last passage does."""

    KILL = "kill"
    FAIL = "fail"  # raises an error that nobody expects
    FAIL_LATE = "fail-late"  # takes STALL_SECONDS, in its thread, and raises it then
    STALL = "stall"  # takes as long, and dies then
    HANG = "hang"  # never comes back


STALL_SECONDS = 5.0


@dataclass(frozen=True, order=True)
class Death:
    """When (seconds since the epoch), who and where; whether it held the lease of the board."""

    at: float
    process: str
    point: Point
    writer: bool


@dataclass(frozen=True)
class Strikes:
    """The folder of strikes, as the stage sees it."""

    folder: Path

    def arm(self, point: Point, passages: int = 1, how: How = How.KILL) -> None:
        """Whoever makes the n-th passage from now is struck."""
        _write(self.folder / point, f"{passages:4d} {how}")

    def disarm(self) -> None:
        """What has not struck will not strike any more."""
        for point in Point:
            (self.folder / point).unlink(missing_ok=True)

    def deaths(self) -> list[Death]:
        """Who died since this was asked last, in the order of time."""
        found = []
        for file in self.folder.glob("*.died"):
            point, process, at, writer = file.read_text().split()
            found.append(Death(float(at), process, Point(point), writer == "writer"))
            file.unlink()
        return sorted(found)


def patch(folder: Path, process: str, *, lease: Path) -> None:
    """All points into this process, for as long as it lives. A method that is not there any more fails at once.

    `lease` is the note that this process keeps while it holds the lease of the board.
    """
    for point, place in PLACES.items():
        strike = _Strike(point, place, folder / point, process, lease)
        setattr(place.owner, place.method, strike.around(getattr(place.owner, place.method)))


@dataclass(frozen=True)
class _Strike:
    """One point of this process."""

    point: Point
    place: Place
    file: Path
    process: str
    lease: Path

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The method, with the point before or after it."""
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def awaited(*args: Any, **kw: Any) -> Any:
                if self.place.before:
                    self.passed(args)
                result = await original(*args, **kw)
                if not self.place.before:
                    self.passed(args)
                return result

            return awaited

        @functools.wraps(original)
        def called(*args: Any, **kw: Any) -> Any:
            if self.place.before:
                self.passed(args)
            result = original(*args, **kw)
            if not self.place.before:
                self.passed(args)
            return result

        return called

    def passed(self, args: Sequence[Any]) -> None:
        """Counts one passage; the last one does not return."""
        how = self._struck() if self.place.when(*args) else None
        if how in (How.FAIL_LATE, How.STALL):
            time.sleep(STALL_SECONDS)
        if how is How.HANG:
            threading.Event().wait()
        if how in (How.FAIL, How.FAIL_LATE):
            raise RuntimeError(f"struck at {self.point}")
        if how is not None:
            self.place.last(*args)
            at = time.time()
            role = "writer" if self.lease.exists() else "other"
            _write(self.file.with_name(f"{self.point}.{at}.died"), f"{self.point} {self.process} {at} {role}")
            os.kill(os.getpid(), signal.SIGKILL)

    def _struck(self) -> How | None:
        """How, if this is the last passage."""
        try:
            # Overwritten in place: a strike that was disarmed meanwhile stays away.
            with self.file.open("r+") as armed:
                fcntl.flock(armed, fcntl.LOCK_EX)
                left, how = armed.read().split()
                armed.seek(0)
                armed.write(f"{int(left) - 1:4d}")
                armed.flush()
                if int(left) > 1:
                    return None
                self.file.unlink(missing_ok=True)
                return How(how)
        except FileNotFoundError:
            return None


def _write(file: Path, text: str) -> None:
    """Whole or not at all, for a reader in another process."""
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(text)
    draft.replace(file)
