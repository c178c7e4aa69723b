"""Bugs to plant into this process, one at a time, to see whether the chaos runs would catch them.

Each replaces a method of a production class by what a plausible mistake would have made of it. A name that is not
there any more fails at once, so that the list keeps up with the code.
"""

import asyncio
import contextlib
import dataclasses
import logging
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from unittest import mock

from connectors import backoff, errors
from connectors.kafka import client as kafka_client
from connectors.tables import journal, lease, orders
from connectors.tables import lost_events as tables_lost_events
from schemas import items
from streams import app, stage
from streams.delivery import consumer, exits, faust_app
from streams.detect import step as detect
from streams.reconcile import lost_events
from streams.runtime import watchdog
from streams.sync import in_doubt, select, writer

log = logging.getLogger(__name__)

Patch = tuple[object, str, Callable[[Any], Any]]


@dataclass(frozen=True)
class Plant:
    """One bug. `patches`: where, which name, and what becomes of the original."""

    what: str
    patches: tuple[Patch, ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """This process has the bug."""
        with contextlib.ExitStack() as stack:
            for where, name, mistake in self.patches:
                stack.enter_context(mock.patch.object(where, name, mistake(getattr(where, name))))
            yield


def _consume(
    batch_first: bool, stream_of: Callable[[Any], Any] = lambda stream: stream.noack()
) -> Callable[[Any], Any]:
    def mistake(original: Any) -> Any:
        async def consume(self: consumer.Delivery, stream: Any, lane: consumer.Lane[Any]) -> None:
            async for batch in stream_of(stream).noack_take(lane.take, within=lane.within):
                if not batch_first and not await self._batch(lane, batch):
                    return
                for event in batch:
                    await stream.ack(event)
                if batch_first and not await self._batch(lane, batch):
                    return
                self.health.progress(lane.name, len(batch))

        return consume

    return mistake


def _sends_in_the_background(original: Any) -> Any:
    async def batch(self: consumer.Delivery, lane: consumer.Lane[Any], events: Any) -> bool:
        later: list[Any] = []
        hurried = dataclasses.replace(self, producer=mock.Mock(send_all=later.extend))
        done: bool = await original(hurried, lane, events)

        async def send() -> None:
            await asyncio.sleep(0.2)
            with contextlib.suppress(errors.OrdersyncError):
                await asyncio.to_thread(self.producer.send_all, later)

        _kept.append(asyncio.ensure_future(send()))
        return done

    return batch


# asyncio keeps no strong reference to a task of its own accord.
_kept: list[Any] = []


def _persist_swallows(original: Any) -> Any:
    async def persist(self: consumer.Delivery, name: str, work: Any) -> bool:
        try:
            await work()
        except errors.LeaseLost:
            raise
        except Exception as error:
            log.warning("%s: %s, never mind", name, error)
        return True

    return persist


def _snapshot_first(original: Any) -> Any:
    def emit(self: detect.Detector, found: Any) -> tuple[int, int]:
        self.source.move_snapshots(list(self._build(found).snapshots.values()))
        unmoved = mock.Mock(wraps=self.source, move_snapshots=lambda snapshots: None)
        emitted: tuple[int, int] = original(dataclasses.replace(self, source=unmoved), found)
        return emitted

    return emit


def _stays(code: int, why: str) -> None:
    """Faust's own way: the exception leaves the agent, and the app stops in order."""
    raise RuntimeError(why)


def _orderly_guarded(original: Any) -> Any:
    async def guarded(name: str, work: Any, end: Any = None) -> None:
        await original(name, work, _stays)

    return guarded


def _stops_when_crashed(original: Any) -> Any:
    async def wait_for_stopped(self: faust_app.App, *others: Any, **kw: Any) -> bool:
        stopped: bool = await original(self, *others, **kw)
        if stopped:
            await self.stop()
        return stopped

    return wait_for_stopped


def _in_order(original: Any) -> Any:
    def end_process(code: int, why: str) -> None:
        log.critical("%s: this process ends in order", why)
        raise SystemExit(code)

    return end_process


def _unfenced_open(original: Any) -> Any:
    def acquire(self: lease.Lease) -> lease.Grant | None:
        granted: lease.Grant | None = original(self)
        return granted or lease.Grant(name=self._name, owner=self._owner, token=0, seconds=10.0)

    return acquire


def _unchecked(original: Any) -> Any:
    def fenced(session: Any, statement: str, params: Any, grant: Any) -> None:
        told = _without_look(journal.STATEMENTS[statement])
        session.execute(told, params[: told.count("?")])

    return fenced


def _without_look(statement: str) -> str:
    """The same statement, which does not ask for the lease."""
    return statement.partition("WHERE EXISTS")[0].partition("AND EXISTS")[0]


def _forgets_intent(original: Any) -> Any:
    async def leave(self: writer.Writer, flight: Any) -> None:
        """Nothing is written down before the body leaves; the row comes after the answer, for the bookkeeping."""
        self.left_at[flight.request.key] = self.now()

    return leave


def _late_close(original: Any) -> Any:
    async def close(self: writer.Writer, request: Any, *args: Any, **kw: Any) -> None:
        await asyncio.to_thread(self.journal.open, request, self.grant)
        await original(self, request, *args, **kw)

    return close


def _blind(original: Any) -> Any:
    async def advance(self: in_doubt.InDoubtRequests) -> list[Any]:
        written = cast(writer.Writer, self.writer)
        for request in await asyncio.to_thread(self.journal.unfinished):
            await asyncio.to_thread(written.journal.close, request.key, [], {}, written.grant, outcome="STOPPED")
        return []

    return advance


def _short_window(original: Any) -> Any:
    def window(in_flight: float = 0.0) -> timedelta:
        return timedelta(seconds=sum(backoff.LOOKUP_PAUSES))

    return window


def _window_is_over(concerns: Callable[[in_doubt.InDoubtRequests, Any], bool]) -> Callable[[Any], Any]:
    """Of these requests the writer believes that they left long ago."""

    def mistake(original: Any) -> Any:
        def left_at(self: in_doubt.InDoubtRequests, request: Any) -> Any:
            left: Any = original(self, request)
            return left - self.window if concerns(self, request) else left

        return left_at

    return mistake


def _of_an_earlier_process(self: in_doubt.InDoubtRequests, request: Any) -> bool:
    return request.key not in self.writer.left_at


def _with_groups(self: in_doubt.InDoubtRequests, request: Any) -> bool:
    return any(isinstance(mutation, items.CreateGroup) for mutation in request.mutations)


def _forgets_parked(original: Any) -> Any:
    def release(self: in_doubt.InDoubtRequests, *given: Any) -> None:
        emit, self.emit = self.emit, lambda staged: None
        try:
            original(self, *given)
        finally:
            self.emit = emit

    return release


def _knows_no_newer(original: Any) -> Any:
    """schemas.versions as one step sees it, blind to versions that are staged already."""
    return types.SimpleNamespace(**{**vars(original), "newest_valid": lambda staged: 0})


def _promotes_anything(original: Any) -> Any:
    def settled_versions(session: Any, record_uuids: Any) -> dict[str, int]:
        return {}

    return settled_versions


def _forgets_claims(original: Any) -> Any:
    def retrying(due: Any, deliver: consumer.Delivery) -> Any:
        async def work() -> None:
            claimed = await asyncio.to_thread(due)
            if claimed:
                with contextlib.suppress(errors.Transient):
                    deliver.producer.send_all(consumer.outgoing(claimed, deliver.prefix)[:0])

        return work

    return retrying


def _concurrent(original: Any) -> Any:
    def declare(made: Any, name: str, lane: Any, deliver: Any) -> None:
        agent = made.agent
        made.agent = lambda *args, **kw: agent(*args, **{**kw, "concurrency": 2})
        original(made, name, lane, deliver)
        made.agent = agent

    return declare


def _librdkafka_partitioner(original: Any) -> Any:
    def build(client: Any, settings: dict[str, Any]) -> Any:
        return original(client, {k: "consistent_random" if k == "partitioner" else v for k, v in settings.items()})

    return build


def _never(answer: Any) -> Callable[[Any], Any]:
    return lambda original: lambda *args, **kw: answer


PLANTS = {
    "ack before work": Plant(
        "a batch is acknowledged when it comes, not when it is done", ((consumer.Delivery, "_consume", _consume(True)),)
    ),
    "plain noack_take": Plant(
        "`stream.noack_take` without `noack()`: its clean-up acknowledges what nobody worked",
        (
            (consumer.Delivery, "_consume", _consume(False, lambda stream: stream)),
            (exits, "guarded", _orderly_guarded),
        ),
    ),
    "orderly stop": Plant(
        "an unknown error leaves the agent and everything stops in order; no hard exit",
        (
            (exits, "guarded", _orderly_guarded),
            (faust_app.App, "wait_for_stopped", _stops_when_crashed),
            (exits, "end_process", _in_order),
        ),
    ),
    "swallowed exception": Plant(
        "what goes wrong in a step is logged, and the batch acknowledged",
        ((consumer.Delivery, "_persist", _persist_swallows),),
    ),
    "send not awaited": Plant(
        "events are acknowledged before Kafka has what they became",
        ((consumer.Delivery, "_batch", _sends_in_the_background),),
    ),
    "concurrency 2": Plant("two actors share a lane", ((app, "declare", _concurrent),)),
    "wrong partitioner": Plant(
        "librdkafka's own partitioner in place of murmur2", ((kafka_client, "create", _librdkafka_partitioner),)
    ),
    "snapshot before delivery": Plant(
        "the snapshot moves before Kafka has confirmed the events", ((detect.Detector, "_emit", _snapshot_first),)
    ),
    "no intent": Plant(
        "requests are written down after their answer, not before they leave",
        ((writer.Writer, "_leave", _forgets_intent), (writer.Writer, "_close", _late_close)),
    ),
    "blind create": Plant(
        "what is in doubt after a crash is taken for not done", ((in_doubt.InDoubtRequests, "advance", _blind),)
    ),
    "window of 22 s": Plant(
        "what the board does not show after 22 s is taken for not done", ((in_doubt, "window", _short_window),)
    ),
    "no window in recovery": Plant(
        "what an earlier process left in doubt has no in-flight window",
        ((in_doubt.InDoubtRequests, "_left_at", _window_is_over(_of_an_earlier_process)),),
    ),
    "no window for groups": Plant(
        "a request that makes groups has no in-flight window",
        ((in_doubt.InDoubtRequests, "_left_at", _window_is_over(_with_groups)),),
    ),
    "forgotten parked order": Plant(
        "a parked order is removed and not emitted", ((in_doubt.InDoubtRequests, "_release", _forgets_parked),)
    ),
    "watermark ignores parked orders": Plant(
        "the watermark advances while orders are parked", ((tables_lost_events.LostEvents, "parkings", _never(0)),)
    ),
    "no lease": Plant(
        "every process that asks may write, and no write checks the epoch",
        (
            (lease.Lease, "acquire", _unfenced_open),
            (lease.Lease, "renew", _never(True)),
            (lease, "renew", _never(None)),
            (journal, "_fenced", _unchecked),
        ),
    ),
    "no version check in sync": Plant(
        "an older version is written after a newer one", ((select, "versions", _knows_no_newer),)
    ),
    "no version check in stage": Plant(
        "an older version is staged as if it were news",
        ((stage, "versions", _knows_no_newer), (select, "versions", _knows_no_newer)),
    ),
    "old versions promoted": Plant(
        "production takes a version that is older than its own",
        ((orders, "settled_versions", _promotes_anything),),
    ),
    "forgotten retry": Plant("a due retry is claimed and not sent", ((app, "retrying", _forgets_claims),)),
    "no watchdog": Plant("a worker that works nothing lives on", ((watchdog.Watchdog, "start", _never(None)),)),
    "no sweep": Plant(
        "what was lost with the log is not found again", ((lost_events.LostEventSweep, "advance", _never(0)),)
    ),
}
