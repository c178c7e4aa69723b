"""The writer of a process and its lease, on a real database and a real board."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from connectors import errors
from connectors.monday import documents
from connectors.simulator import config as simulator_config
from connectors.tables import journal
from connectors.tables.lost_events import PARKED
from schemas import items
from streams import resources, settings
from streams.delivery import consumer, health
from streams.runtime import board_writer, connect, embedded
from tests.support import writer_desk as desk

pytestmark = pytest.mark.processes


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[str]:
    chosen = settings.Settings(home=folder, monday_minute=2.0)
    (folder / "board").mkdir(parents=True)
    running = embedded.Simulator(chosen, resources.Resources(chosen).limits)
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("home")) as url:
        yield url


class Office:
    """One database and one board; each worker in it has a life of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.base = settings.Settings(
            home=folder, monday_url=url, monday_token=simulator_config.TOKEN, monday_minute=2.0, lease_seconds=120.0
        )
        self.opened: list[resources.Resources] = []
        parts = self.parts("setup")
        parts.db.apply_schema(resources.utcnow())
        (folder / "locks").mkdir()

    def close(self) -> None:
        for parts in self.opened:
            parts.close()

    def parts(self, worker: str, **changed: object) -> resources.Resources:
        chosen = self.base.model_copy(update={"worker": worker, **changed})
        found = resources.Resources(chosen, monday_url=chosen.monday_url)
        self.opened.append(found)
        return found

    @contextlib.asynccontextmanager
    async def worker(self, name: str, **changed: object) -> AsyncIterator["Worker"]:
        parts, state = self.parts(name, **changed), health.Health()
        async with board_writer.open_board_writer(parts, state) as writing:
            yield Worker(parts, state, writing)

    def holder(self) -> str | None:
        return self.opened[0].lease_status.holder()


class Worker:
    def __init__(self, parts: resources.Resources, state: health.Health, writing: board_writer.BoardWriter) -> None:
        self.parts = parts
        self.health = state
        self.writing = writing
        self.owns = True

    async def works(self) -> None:
        """An empty batch asks for every right that a full one needs."""
        assert await asyncio.wait_for(self.writing.step([]), 60) == []

    def dies(self) -> None:
        """As by kill -9: the lease is not given back."""
        self.writing._grant = None


@pytest.fixture
def office(tmp_path: Path, board: str) -> Iterator[Office]:
    made = Office(tmp_path, board)
    yield made
    made.close()


async def set_up(parts: resources.Resources) -> None:
    key = parts.mappings.board.key
    await connect.ask_board(parts, lambda board: board.ensure_key_column(key.id, key.title))


@pytest.fixture
async def ready(office: Office) -> Office:
    """An office whose board is set up."""
    await set_up(office.parts("setup"))
    return office


async def epoch(office: Office) -> int:
    holder = office.holder()
    assert holder is not None
    return int(holder.split()[1].rstrip(","))


async def test_a_board_that_is_not_set_up_is_held_and_a_later_try_goes_on_with_the_same_lease(tmp_path: Path) -> None:
    with simulator(tmp_path) as url:
        office = Office(tmp_path, url)
        async with office.worker("worker-1") as worker:
            for _ in range(2):
                with pytest.raises(errors.Misconfigured, match="run `ordersync setup`"):
                    await worker.works()
                assert await epoch(office) == 1
            await set_up(worker.parts)
            await worker.works()
            assert await epoch(office) == 1
        office.close()


async def test_the_lease_comes_with_the_first_batch_and_goes_with_the_end(ready: Office) -> None:
    async with ready.worker("worker-1") as worker:
        assert ready.holder() is None
        await worker.works()
        assert await epoch(ready) == 1
    assert ready.holder() is None


async def test_a_second_worker_waits_says_why_and_goes_on_when_the_first_one_ends(ready: Office, until: Any) -> None:
    async with ready.worker("worker-2") as second:
        async with ready.worker("worker-1") as first:
            await first.works()
            waiting = asyncio.create_task(second.works())
            await asyncio.to_thread(until, lambda: second.health.holding, "it waits")
            assert second.health.holding == {"orders.staged": "another process holds the lease of the board"}
            assert not waiting.done()
        await waiting
        assert second.health.holding == {}
        assert await epoch(ready) == 2


async def test_the_next_life_of_a_killed_worker_does_not_wait_for_its_own_lease(ready: Office) -> None:
    async with ready.worker("worker-1", lease_seconds=3600.0) as first:
        await first.works()
        first.dies()
    assert await epoch(ready) == 1
    async with ready.worker("worker-1", lease_seconds=3600.0) as again:
        await again.works()
        assert await epoch(ready) == 2


async def test_another_worker_does_not_wait_for_the_lease_of_a_killed_one_that_started_again(ready: Office) -> None:
    async with ready.worker("worker-1", lease_seconds=3600.0) as first:
        await first.works()
        first.dies()
    async with ready.worker("worker-1"), ready.worker("worker-2") as other:
        await other.works()
        assert await epoch(ready) == 2


async def test_the_lease_of_a_killed_worker_is_no_other_workers_before_it_runs_out(ready: Office) -> None:
    async with ready.worker("worker-1", lease_seconds=5.0) as first:
        await first.works()
        first.dies()
    held = ready.holder()
    assert held is not None
    async with ready.worker("worker-2") as other:
        await other.works()
        assert await epoch(ready) == 2
    until = datetime.fromisoformat(held.rpartition("until ")[2]).replace(tzinfo=UTC)
    assert resources.utcnow() >= until


async def test_what_is_in_doubt_is_ended_by_the_owner_of_the_partition_though_no_event_comes(ready: Office) -> None:
    async with ready.worker("worker-1") as first:
        await first.works()
        grant = first.writing._grant
        assert grant is not None
        group = items.CreateGroup(group_name="NOBODY NEEDS IT")
        board = first.parts.mappings.board.board.id
        request = journal.Request(
            key="k", body=documents.render([group], board_id=board, group_ids={}).body, mutations=(group,), versions={},
            first_sent_at=resources.utcnow(),
        )  # fmt: skip
        first.parts.journal.open(request, grant)
        first.dies()
    async with ready.worker("worker-1") as again:
        await again.writing.advance_in_doubt(owns=False)
        assert ready.holder() is None
        await again.writing.advance_in_doubt(owns=True)
        assert await epoch(ready) == 2
        assert again.writing._syncer is not None
        recovery = again.writing._syncer.in_doubt
        assert list(recovery._searches) == ["k"]
        # It was never sent, so it is looked for until its window is over, and sent then.
        recovery._searches["k"].checks_due = [resources.utcnow()]
        await again.writing.advance_in_doubt(owns=True)
        assert again.parts.journal.unfinished() == []
        assert not recovery._searches


async def test_a_parked_order_is_emitted_by_the_owner_of_the_partition_though_no_event_arrives(ready: Office) -> None:
    async with ready.worker("worker-1") as worker:
        producer = mock.Mock()
        worker.parts.__dict__["producer"] = producer
        worker.parts.state.set(f"{PARKED}.1", desk.event(desk.order(1)).model_dump(mode="json"))
        await worker.writing.advance_in_doubt(owns=False)
        producer.send_all.assert_not_called()
        for _ in range(2):
            await worker.writing.advance_in_doubt(owns=True)
        (sent,) = producer.send_all.call_args_list
        assert sent.args == (consumer.outgoing([desk.event(desk.order(1))], ""),)
        assert worker.parts.state.all_of(PARKED) == {}


async def test_the_lease_is_renewed_while_the_partition_is_ours(ready: Office, until: Any) -> None:
    async with ready.worker("worker-1", lease_seconds=9.0) as worker:
        await worker.works()
        keeping = asyncio.create_task(worker.writing.hold_lease(lambda: worker.owns))
        first = ready.holder()
        await asyncio.to_thread(until, lambda: ready.holder() != first, "it is renewed")
        assert await epoch(ready) == 1
        keeping.cancel()


async def test_the_lease_is_given_back_when_the_partition_moves_on_and_taken_again_when_it_returns(
    ready: Office,
    until: Any,
) -> None:
    async with ready.worker("worker-1") as worker:
        await worker.works()
        keeping = asyncio.create_task(worker.writing.hold_lease(lambda: worker.owns))
        worker.owns = False
        await asyncio.to_thread(until, lambda: ready.holder() is None, "it is given back")
        async with ready.worker("worker-2") as other:
            await other.works()
            assert await epoch(ready) == 2
        await worker.works()
        assert await epoch(ready) == 3
        keeping.cancel()


async def test_a_lease_that_went_to_another_process_is_told_at_once(ready: Office) -> None:
    async with ready.worker("worker-1", lease_seconds=3.0) as worker:
        await worker.works()
        with worker.parts.db.write() as session:
            session.execute("UPDATE SYNC_Lease SET token = token + 1, owner = 'somebody'")
        with pytest.raises(errors.LeaseLost):
            await asyncio.wait_for(worker.writing.hold_lease(lambda: True), 60)


async def test_the_outline_is_read_again_before_a_verify_of_the_board(tmp_path: Path) -> None:
    with simulator(tmp_path) as url:
        office = Office(tmp_path, url)
        await set_up(office.parts("setup"))
        async with office.worker("worker-1") as worker:
            # Before the first batch there is nothing to read again.
            await worker.writing.refresh_outline()
            await worker.works()
            column = next(one.id for one in worker.parts.mappings.board.columns if one.source == "UNIT OF MEASURE")
            edit = json.dumps({"action": "add_label", "column_id": column, "label": "BUSHEL"}).encode()
            request = urllib.request.Request(url.rsplit("/", 1)[0] + "/admin/edit", edit)
            with await asyncio.to_thread(urllib.request.urlopen, request, timeout=60) as answer:
                assert answer.status == 200
            assert worker.writing._syncer is not None
            known = worker.writing._syncer.outline.known
            assert "BUSHEL" not in known()[column]
            await worker.writing.refresh_outline()
            assert "BUSHEL" in known()[column]
        office.close()
