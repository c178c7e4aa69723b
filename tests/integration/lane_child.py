"""Not a test: the process that the delivery tests kill. One lane of a real Faust app; what it does is in its plan.

    python lane_child.py FOLDER      plan.json in it says what to do, the other files tell what was done

Its step writes the identity of every event that it works to `worked`, one a line, and emits one OrderStaged for each.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors import errors, kafka
from schemas import events
from streams import app as apps
from streams import settings, topics
from streams.delivery import consumer, exits, faust_app, health, membership
from streams.runtime import watchdog


class Sender:
    """The real producer. While the file `no-sending` is there, it fails as it does when the broker is away."""

    def __init__(self, folder: Path, producer: kafka.Producer) -> None:
        self._folder = folder
        self._producer = producer

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        if (self._folder / "no-sending").exists():
            raise errors.Transient("Kafka, sending: not now")
        self._producer.send_all(messages)


class Step:
    """Works events as the plan says."""

    def __init__(self, folder: Path, plan: dict[str, Any], prefix: str) -> None:
        self._folder = folder
        self._plan = plan
        self._prefix = prefix

    async def __call__(self, changed: list[events.OrderChanged]) -> list[kafka.OutgoingMessage]:
        self._note("tried", [str(len(changed))])
        trouble = self._plan.get("trouble")
        if trouble == "transient":
            raise errors.Transient("the database is locked")
        if trouble == "misconfigured" and not (self._folder / "cured").exists():
            raise errors.Misconfigured("the token is refused", wait=self._plan.get("wait", 0.5))
        if trouble == "lease":
            raise errors.LeaseLost("the lease went to another process")
        if trouble == "blocked":
            time.sleep(60)  # noqa: ASYNC251
        # Another process opens the gate: no event of this loop can tell of it.
        while self._plan.get("gated") and not (self._folder / "go").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        done = []
        for event in changed:
            if event.record_uuid == self._plan.get("unknown_at"):
                raise ZeroDivisionError
            await asyncio.sleep(self._plan.get("slow", 0))
            done.append(event)
            self._note("worked", [event.record_uuid])
        staged = [events.OrderStaged(**event.identity) for event in done]
        return consumer.outgoing(staged, self._prefix)

    def _note(self, name: str, lines: list[str]) -> None:
        with (self._folder / name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)


async def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    chosen = settings.Settings(home=folder, topic_prefix=plan["prefix"], worker=plan["worker"])
    bootstrap = plan["bootstrap"]
    state, noise = health.Health(), kafka.BrokerNoise()
    member = membership.Member(folder / "member", plan["worker"])
    app = faust_app.create_app(chosen, bootstrap, member.name)
    if session := plan.get("session"):
        # Faust wants no answer to be waited for less long than a session lasts.
        app.conf.broker_session_timeout, app.conf.broker_request_timeout = session, session + 30.0
    producer = kafka.Producer(bootstrap, timeout=5.0, noise=noise)
    deliver = consumer.Delivery(
        producer=Sender(folder, producer),
        health=state,
        prefix=chosen.topic_prefix,
        stopping=lambda: bool(app.should_stop),
        rebalancing=lambda: bool(app.rebalancing),
        pauses=lambda: iter([0.1, 0.1, 0.1]),
    )
    step = Step(folder, plan, chosen.topic_prefix)
    apps.declare(app, "lane", consumer.Lane(topics.CHANGED, step, plan["take"]), deliver)

    async def tick() -> None:
        state.tick()
        (folder / "status").write_text(json.dumps(state.holding))

    app.timer(0.1)(tick)
    app.finalize()
    noise.attach("aiokafka", "faust", "mode")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    admin, changed = kafka.Admin(bootstrap, noise=noise), topics.named(topics.CHANGED, chosen.topic_prefix)
    topic_ids = await asyncio.to_thread(admin.topic_ids, [changed])
    await faust_app.start(app)
    dog = watchdog.Watchdog(
        state,
        admin,
        watchdog.WatchedLanes(
            group=app.conf.id,
            topics={topics.CHANGED.name: changed},
            topic_ids=topic_ids,
            assigned=lambda: faust_app.assigned(app),
            rebalancing=lambda: bool(app.rebalancing),
        ),
        watchdog.Limits(tick=plan.get("tick", 30.0), stuck=plan["stuck"], every=0.5),
        end=member.end,
    )
    dog.start()
    (folder / "ready").write_text(str(os.getpid()))
    if await app.wait_for_stopped(stop.wait()):
        exits.end_process(exits.EXIT_AGAIN, f"Faust stopped by itself: {app.crash_reason!r}")
    dog.stop()
    await faust_app.stop(app, holding=bool(state.holding))
    producer.close()


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("mode").setLevel(logging.ERROR)
    asyncio.run(main(Path(sys.argv[1])))
