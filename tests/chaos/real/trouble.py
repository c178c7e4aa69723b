"""Broker trouble as named scenarios of `make chaos`: each ends without a hand, and nothing is lost or made twice.

An act does one thing to a running stage and waits until work goes on; a scenario plays one act on a stage of its own.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition, admin

from connectors import database, errors
from streams import topics
from streams.demo import stage as demo
from streams.resources import utcnow
from tests.chaos import history
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real.outcome import OnEither, Outcome, every_second_pure
from tests.chaos.real.stage import stage
from tests.chaos.real.trouble_disk import MEGABYTES, Disk
from tests.chaos.real.trouble_scene import SAID_WITHIN, Scene, Source

ORDERS = 80
RESTARTS = 10
FROZEN = 40.0
# Long enough that everybody has to say so.
FULL = SAID_WITHIN + 5.0
SKIPPED = 5

Act = Callable[[Scene], None]


def away(scene: Scene, seconds: float) -> None:
    """The broker is killed and comes back."""
    scene.stage.broker.kill()
    scene.lasts(seconds)
    scene.stage.broker.start()
    scene.goes_on(utcnow())


def restarted(scene: Scene) -> None:
    """Killed and started again, time after time, some of them before anybody found back."""
    for _ in range(RESTARTS):
        scene.stage.broker.kill()
        scene.lasts(scene.rng.uniform(0.0, 3.0))
        scene.stage.broker.start()
        time.sleep(scene.rng.uniform(0.0, 3.0))
    scene.goes_on(utcnow())


def wiped(scene: Scene) -> None:
    """All that the broker stored is gone under running workers: topics, offsets, groups, producer ids."""
    scene.lossy = True
    scene.stage.broker.wipe()
    scene.stage.broker.start()
    scene.goes_on(utcnow())


def deleted(scene: Scene, chosen: Collection[topics.Topic]) -> None:
    """One topic is deleted by somebody, then the next."""
    scene.lossy = True
    client = admin.AdminClient({"bootstrap.servers": scene.stage.broker.bootstrap, "log_level": 0})
    for topic in chosen:
        name = topics.named(topic, scene.stage.parts.settings.topic_prefix)
        client.delete_topics([name])[name].result(10)
        scene.goes_on(utcnow())


def skipped(scene: Scene) -> None:
    """The group has committed what nobody worked, as it may after a topic was made anew: the sweep finds it."""
    stage, [name] = scene.stage, [service.name for service in scene.stage.workers]
    scene.lossy = scene.skipped = True
    group = stage.parts.settings.topic_prefix + stage.parts.settings.group
    changed = topics.named(topics.CHANGED, stage.parts.settings.topic_prefix)
    stage.remove_worker(name)
    for _ in range(SKIPPED):
        scene.source.edit()
    scene.until(lambda: sum(stage.parts.admin.lag(group, [changed]).values()) >= 1, "the poller emitted")
    ends = stage.parts.admin.end_offsets([changed])
    offsets = [TopicPartition(*partition, end) for partition, end in ends.items()]
    client = Consumer({"bootstrap.servers": stage.broker.bootstrap, "group.id": group, "log_level": 0})
    scene.until(lambda: _committed(client, offsets), "the group is empty: the last member's session is over")
    client.close()
    stage.add_worker(name)
    scene.goes_on(utcnow())


def _committed(client: Consumer, offsets: list[TopicPartition]) -> bool:
    """Whether the group takes offsets from somebody who is no member: it does while it has none."""
    try:
        client.commit(offsets=offsets, asynchronous=False)
    except KafkaException:
        return False
    return True


def disk_full(scene: Scene, disk: Disk) -> None:
    """The broker's disk is full: it halts. Somebody makes room and starts it again."""
    with disk.full(_pid(scene)):
        broken = scene.stage.broker.wait(60)
        if broken is None:
            scene.wrong.append("the broker lives on without a place to write to")
        scene.lasts(FULL)
    scene.stage.broker.start()
    scene.goes_on(utcnow())


def broker_frozen(scene: Scene, seconds: float) -> None:
    """The broker answers nobody and closes no connection."""
    os.kill(_pid(scene), signal.SIGSTOP)
    # Nobody can know before a request of 10 s has ended; the poller is started anew for it, and asks once more.
    scene.lasts(seconds, said_within=35.0)
    os.kill(_pid(scene), signal.SIGCONT)
    scene.goes_on(utcnow())


def writer_frozen(scene: Scene, seconds: float) -> None:
    """The writer is paused until its lease went to another worker, and wakes up in the midst of its work."""
    writer, epoch = _writer(scene)
    scene.stage.kill(writer, signal.SIGSTOP)
    stopped = time.monotonic()
    scene.goes_on(utcnow())
    time.sleep(max(0.0, seconds - (time.monotonic() - stopped)))
    taken = _writer(scene)
    if taken[1] <= epoch:
        scene.wrong.append(f"nobody took over from {writer} in {seconds:g} s")
    woken, known = utcnow(), _ends(scene, writer)
    scene.stage.kill(writer, signal.SIGCONT)
    scene.goes_on(woken)
    scene.until(lambda: _ends(scene, writer) > known, f"{writer} knows that it is the writer no more")
    with scene.stage.parts.db.read() as session:
        late = session.value(
            "SELECT COUNT(*) FROM SYNC_Requests WHERE lease_token <= ? AND (created_at > ? OR finished_at > ?)",
            (epoch, database.to_db_time(woken), database.to_db_time(woken)),
        )
    if late:
        scene.wrong.append(f"{writer} woke up and wrote {late} requests under its old epoch")
    parts = scene.stage.parts
    since = [one for one in history.executions(oracle.board_of(parts)) if one.at > woken]
    scene.wrong += [
        f"{writer} woke up and sent {key}: {why}" for key, why in not_of_the_new_writer(parts.db, epoch, since)
    ]
    if not since:
        scene.wrong.append("the board carried out nothing afterwards, so nothing is shown")
    scene.figures["executed"] = len(since)


def not_of_the_new_writer(
    db: database.Database, epoch: int, executed: Sequence[history.Execution]
) -> Iterator[tuple[str, str]]:
    """What the board itself carried out of a writer of this epoch, or of nobody: the journal tells who sent what.

    A request that the new writer took over carries its epoch, so the old one's copy of it is known by when it came:
    after the new writer had closed it. A copy that comes sooner is answered from the board's memory and changes
    nothing.
    """
    with db.read() as session:
        rows = session.query("SELECT request_key, lease_token, finished_at FROM SYNC_Requests")
    journal = {row["request_key"]: row for row in rows}
    for one in executed:
        row = journal.get(one.key)
        if row is None:
            yield one.key, "the journal does not know it"
        elif row["lease_token"] <= epoch:
            yield one.key, "the board carried it out under the old epoch"
        elif row["finished_at"] is not None and str(row["finished_at"]) < database.to_db_time(one.at):
            yield one.key, "the board carried it out when it was closed"


def _ends(scene: Scene, writer: str) -> int:
    """How often it ended, or gave its lease back."""
    return scene.stage.services[writer].restarts + scene.stage.log(writer).count("lease of the board is given back")


def _pid(scene: Scene) -> int:
    pid = scene.stage.broker.pid
    assert pid is not None, "the broker does not run"
    return pid


def _writer(scene: Scene) -> tuple[str, int]:
    """Who holds the lease of the board, and in which epoch."""
    said = "lease of the board is ours, epoch "
    epochs = {
        name: max((int(line.rsplit(said)[1]) for line in scene.stage.log(name).splitlines() if said in line), default=0)
        for name in scene.stage.services
    }
    return max(epochs.items(), key=lambda found: found[1])


def happens(scene: Scene, act: Act, *, busy: bool) -> None:
    """One act on a stage where all is well, while the source keeps changing or is still."""
    scene.begins()
    if busy:
        with scene.source.changing():
            scene.goes_on(utcnow())
            scene.figures.clear()
            act(scene)
    else:
        act(scene)


@contextmanager
def scenes(folder: Path, seed: int, *, workers: int, **changed: Any) -> Iterator[Callable[[], Scene]]:
    """A stage where everything has settled, for one scene or for several, one after the other."""
    with stage(folder, orders=ORDERS, seed=seed, workers=workers, prepare=oracle.watch, **changed) as made:
        demo.settle(made, on_look=lambda seen: None)
        source = Source.of(made.parts, orders=ORDERS, seed=seed)
        yield lambda: Scene(made, source, random.Random(seed))


def scenario(act: Act, *, busy: bool = True, workers: int = 1, times: int = 1) -> OnEither:
    """The act on a stage of its own. `times`: how many troubles it is, one after the other."""

    def run(folder: Path, seed: int, *, pure: bool) -> Outcome:
        began = time.monotonic()
        with scenes(folder, seed, workers=workers, pure=pure) as made:
            scene = made()
            try:
                happens(scene, act, busy=busy)
                scene.was_quiet(times)
                scene.proves()
            except (TimeoutError, errors.OrdersyncError) as error:
                scene.wrong.append(str(error))
        scene.figures["seconds"] = time.monotonic() - began
        return Outcome(not scene.wrong, scene.figures, scene.wrong)

    return run


def _offsets_ahead(folder: Path, seed: int, *, pure: bool) -> Outcome:
    outcome = scenario(skipped, busy=False)(folder, seed, pure=pure)
    if not outcome.figures.get("swept"):
        return Outcome(False, outcome.figures, [*outcome.wrong, "nothing was skipped, so nothing is shown"])
    return outcome


def _disk_full(folder: Path, seed: int, *, pure: bool) -> Outcome:
    with Disk(folder / "kafka" / "data").limited() as disk:
        outcome = scenario(partial(disk_full, disk=disk))(folder, seed, pure=pure)
    outcome.figures["disk"] = f"{MEGABYTES}MB" if disk.mounted else "rlimit"
    return outcome


_NAMED: dict[str, OnEither] = {
    **{
        f"away-{name}-{how}": scenario(partial(away, seconds=seconds), busy=how == "busy")
        for name, seconds in {"5s": 5.0, "45s": 45.0, "100s": 100.0, "10min": 600.0}.items()
        for how in ("idle", "busy")
    },
    "restarts-x10": scenario(restarted, times=RESTARTS),
    "wiped": scenario(wiped),
    "topic-deleted": scenario(partial(deleted, chosen=topics.ALL), times=len(topics.ALL)),
    "offsets-ahead": _offsets_ahead,
    "disk-full": _disk_full,
    "sigstop": scenario(partial(writer_frozen, seconds=FROZEN), workers=2),
    "broker-frozen": scenario(partial(broker_frozen, seconds=FROZEN)),
}
SCENARIOS = every_second_pure(_NAMED)


def main() -> int:
    """`python -m tests.chaos.real.trouble away-5s-busy wiped …`: some scenarios, or all. 1 if one fails."""
    chosen = sys.argv[1:] or list(SCENARIOS)
    failed = 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="ordersync-") as folder:
            outcome = SCENARIOS[name](Path(folder) / "home", 1)
        print(outcome.line(name), *outcome.wrong, sep="\n  ", flush=True)
        failed += not outcome.ok
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
