"""Three real workers share the work: some are killed, one leaves in order, one joins. One of them writes at a time."""

import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupState, admin

from streams import topics
from streams.runtime import status
from tests.chaos.real import scale
from tests.chaos.real.stage import Stage

pytestmark = pytest.mark.timeout(900)
ORDERS, SEED = 600, 7
# Some 3,100 mutations: the backlog lasts 14 s at the least, and so for three kills.
PER_SECOND, KILLS, KILL_EVERY = 220, 3, 4.0
EDITED = 200
WITHIN = 300.0
Until = Callable[..., Any]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with scale.many(tmp_path / "stage", orders=ORDERS, seed=SEED, per_second=PER_SECOND, minute=1.0) as made:
        yield made


def edit(stage: Stage, freight: int) -> None:
    """One cell of each of so many orders, of all customers; each is one mutation."""
    with stage.parts.db.write() as session:
        edited = session.execute(
            "UPDATE ORDERS_UNIFIED SET [FREIGHT] = ? WHERE record_uuid IN"
            " (SELECT source_uuid FROM MON_CustMasterSchedule ORDER BY source_uuid LIMIT ?)",
            (str(freight), EDITED),
        )
    assert edited == EDITED


def all_have_partitions(stage: Stage) -> bool:
    """Whether the group is at rest and each worker has some of `orders.changed`."""
    client = admin.AdminClient({"bootstrap.servers": stage.parts.bootstrap, "log_level": 0})
    group = client.describe_consumer_groups([stage.parts.settings.group])[stage.parts.settings.group].result(60)
    having = [m for m in group.members if any(p.topic == topics.CHANGED.name for p in m.assignment.topic_partitions)]
    return group.state is ConsumerGroupState.STABLE and len(having) == len(group.members) == scale.WORKERS


def worked(stage: Stage) -> dict[str, dict[str, int]]:
    """How many events each living worker has worked since it was started, by lane, as its /live tells."""
    found = {}
    for worker in status.collect(stage.parts).workers:
        if worker.role != "worker":
            continue
        with urllib.request.urlopen(worker.address.replace("/health", "/live"), timeout=60) as answer:
            told = json.load(answer)
        assert told["name"] == worker.name
        found[worker.name] = told["events"]
    return found


def writer(stage: Stage) -> str:
    """The one worker that notes a grant of the lease."""
    notes = list((stage.parts.settings.home / "locks").glob("*.lease"))
    assert len(notes) == 1, notes
    return notes[0].stem


def test_workers_share_the_work_and_come_and_go(
    stage: Stage, until: Until, record_property: Callable[[str, object], None]
) -> None:
    kills = scale.Kills(stage, random.Random(SEED), KILL_EVERY, most=KILLS)
    assert scale.until_settled(stage, kills.look, WITHIN)
    assert kills.fell_on.total() == KILLS

    until(lambda: all_have_partitions(stage), "those that were killed are back")
    edit(stage, 11)
    assert scale.until_settled(stage, lambda: None, WITHIN)
    shared = worked(stage)
    assert len(shared) == scale.WORKERS
    for lane in (topics.CHANGED.name, topics.SYNCED.name):
        assert all(counts.get(lane, 0) > 0 for counts in shared.values()), (lane, shared)
    assert [name for name, counts in shared.items() if counts.get(topics.STAGED.name, 0)] == [writer(stage)]

    before = stage.stats()["mutations_done"]
    edit(stage, 22)
    until(lambda: stage.stats()["mutations_done"] > before, "the edits are on their way to the board")
    stage.add_worker("worker-4")
    leaving = stage.services[writer(stage)]
    began = time.monotonic()
    stage.remove_worker(leaving.name)
    record_property("seconds of a stop under load", round(time.monotonic() - began, 2))
    assert leaving.child is not None
    assert leaving.child.wait(0) == 0, "it ended by itself, before its supervisor would have killed it"
    assert scale.until_settled(stage, lambda: None, WITHIN)
    assert stage.stats()["mutations_done"] - before == EDITED

    found = scale.proof(stage)
    assert found.holds, str(found)
