"""setup, validate, status and the worker's start on a real database and the simulator: bound once, never exchanged."""

import asyncio
import contextlib
import json
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.simulator import config as simulator_config
from schemas import items
from schemas.bindings import Creates
from streams import resources, settings
from streams.binding import compare, store
from streams.commands import service, setup
from streams.delivery import health
from streams.runtime import board_writer, connect, embedded, status

pytestmark = pytest.mark.processes
UUID = "00000000-0000-4000-8000-000000000001"


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[str]:
    chosen = settings.Settings(home=folder)
    running = embedded.Simulator(chosen, resources.Resources(chosen).limits)
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two boards of two accounts, with the same board id."""
    with simulator(tmp_path_factory.mktemp("one")) as one, simulator(tmp_path_factory.mktemp("two")) as two:
        yield one, two


def edit(url: str, action: str, **fields: Any) -> str:
    body = json.dumps({"action": action, **fields}).encode()
    request = urllib.request.Request(url.rsplit("/", 1)[0] + "/admin/edit", body)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["item_id"])


class Home:
    """A home folder, with its database where `database` says, pointed at one of the boards."""

    def __init__(self, folder: Path, url: str, database: Path | None = None) -> None:
        self.settings = settings.Settings(
            home=folder,
            database=str(database or ""),
            monday_url=url,
            monday_token=simulator_config.TOKEN,
            kafka_bootstrap_servers="127.0.0.1:9",
            lease_seconds=30.0,
        )
        self.parts = resources.Resources(self.settings, monday_url=url)

    def prepare(self, *, rebind: bool = False) -> list[str]:
        """The part of `ordersync setup` that needs no broker."""
        with contextlib.closing(resources.Resources(self.settings, monday_url=self.settings.monday_url)) as parts:
            if not rebind:
                connect.check_binding(parts, asks_api=True)
            parts.db.apply_schema(resources.utcnow())
            return setup.prepare_board(parts, rebind=rebind)

    def check(self) -> None:
        with connect.database(self.settings):
            pass

    async def work(self) -> health.Health:
        """The start of a worker's writer, with an empty batch."""
        (self.settings.home / "locks").mkdir(exist_ok=True)
        state = health.Health()
        async with board_writer.open_board_writer(self.parts, state) as writer:
            await writer.step([])
        return state

    def remember(self, item_id: str) -> None:
        """A ledger row as an earlier version left it."""
        grant = self.parts.lease().acquire()
        assert grant is not None
        board = self.parts.mappings.board.board.id
        entity = items.Entity(
            record_uuid=UUID, item_id=item_id, board_id=board, name="POLO", group_name="G", columns={}
        )
        self.parts.ledger.correct([(entity, 1)], grant)
        self.parts.db.close()
        self.parts = resources.Resources(self.settings, monday_url=self.settings.monday_url)
        with self.parts.db.write() as session:
            session.execute("DELETE FROM SYNC_Lease")


def test_setup_binds_once_and_status_shows_all_four(tmp_path: Path, boards: tuple[str, str]) -> None:
    home = Home(tmp_path, boards[0])
    lines = home.prepare()
    bound = status.collect(home.parts).binding
    assert bound is not None
    assert (bound.database, bound.board_id) == (str(tmp_path / "orders.db"), home.parts.mappings.board.board.id)
    assert lines[-1] == f"bound to {bound.text}"
    assert bound.text.endswith(
        f"account {bound.account_id} (Simulator), board {bound.board_id} (Customer Master Schedule), "
        "API the bundled board"
    )
    file = tmp_path / store.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert home.parts.bindings.of_home() == bound
    assert home.prepare() == []
    assert status.collect(home.parts).binding == bound


def test_another_account_is_refused_by_setup_and_by_the_worker_until_rebound(
    tmp_path: Path, boards: tuple[str, str]
) -> None:
    Home(tmp_path, boards[0]).prepare()
    other = Home(tmp_path, boards[1])
    item = edit(boards[1], "add", name="THEIRS")
    other.remember(item)
    for start in (other.prepare, lambda: asyncio.run(other.work())):
        with pytest.raises(errors.Misconfigured, match=r"account \d+ \(Simulator\), not to account \d+") as refusal:
            start()
        assert refusal.value.code == compare.CODE
    lines = other.prepare(rebind=True)
    assert "forgot the ledger: 1 items and sizes, 0 groups, 0 requests in doubt" in lines
    assert other.parts.ledger.active_items(9) == []
    bound = other.parts.bindings.stored()
    assert bound is not None
    assert (bound.creates, bound.items) == (Creates.HELD, 1)
    state = asyncio.run(other.work())
    assert state.trouble == set()


def test_rebinding_to_the_same_board_keeps_the_ledger(tmp_path: Path, boards: tuple[str, str]) -> None:
    home = Home(tmp_path, boards[0])
    home.prepare()
    home.remember("42")
    before = home.parts.bindings.stored()
    assert home.prepare(rebind=True)[0].startswith("bound to ")
    assert [item_id for _, item_id in home.parts.ledger.active_items(9)] == ["42"]
    after = home.parts.bindings.stored()
    assert before is not None
    assert after is not None
    assert (after.database_id, after.creates) == (before.database_id, before.creates)


def test_a_rebind_waits_for_the_end_of_the_writer(tmp_path: Path, boards: tuple[str, str]) -> None:
    home = Home(tmp_path, boards[0])
    home.prepare()
    assert home.parts.lease().acquire() is not None
    with pytest.raises(errors.Misconfigured, match="stop `ordersync run` first"):
        home.prepare(rebind=True)


def test_another_database_is_noticed_before_it_is_touched(tmp_path: Path, boards: tuple[str, str]) -> None:
    Home(tmp_path / "home", boards[0]).prepare()
    other = tmp_path / "other.db"
    for start in (Home(tmp_path / "home", boards[0], other).check, Home(tmp_path / "home", boards[0], other).prepare):
        with pytest.raises(errors.Misconfigured, match=rf"orders\.db, not to {other}"):
            start()
    assert not other.exists()


def test_another_home_of_the_same_database_gets_the_same_binding(tmp_path: Path, boards: tuple[str, str]) -> None:
    first = Home(tmp_path / "first", boards[0])
    first.prepare()
    database = tmp_path / "first" / "orders.db"
    second = Home(tmp_path / "second", boards[0], database)
    second.check()
    (tmp_path / "second").mkdir()
    asyncio.run(second.work())
    assert second.parts.bindings.of_home() == first.parts.bindings.stored()
    with pytest.raises(errors.Misconfigured, match=r"API the bundled board, not to api\.example\.com"):
        Home(tmp_path / "third", "https://api.example.com/v2", database).check()


def test_a_home_of_an_earlier_version_is_bound_by_its_worker_if_its_items_are_on_the_board(
    tmp_path: Path, boards: tuple[str, str]
) -> None:
    home = Home(tmp_path, boards[0])
    with contextlib.closing(resources.Resources(home.settings)) as parts:
        parts.db.apply_schema(resources.utcnow())
    home.remember("77")
    with pytest.raises(errors.Misconfigured, match="none of 1 items of it is on board"):
        asyncio.run(home.work())
    assert home.parts.bindings.stored() is None
    with home.parts.db.write() as session:
        session.execute("DELETE FROM SYNC_Ledger")
    home.remember(edit(boards[0], "add", name="OURS"))
    asyncio.run(home.work())
    bound = home.parts.bindings.stored()
    assert bound is not None
    assert (bound.creates, home.parts.bindings.of_home()) == (Creates.FREE, bound)


def test_run_binds_a_home_of_an_earlier_version_and_says_to_what(tmp_path: Path, boards: tuple[str, str]) -> None:
    home = Home(tmp_path, boards[0])
    ends = embedded.Endpoints("127.0.0.1:9", boards[0], lambda: [])
    # Before `setup` there is nothing to bind; the service starts all the same.
    assert service.bind(home.settings, ends) == []
    home.parts.db.apply_schema(resources.utcnow())
    asyncio.run(connect.ask_board(home.parts, lambda board: board.ensure_key_column("record_uuid", "record_uuid")))
    bound = service.bind(home.settings, ends)
    assert bound[0].startswith(f"bound to database {tmp_path / 'orders.db'}, account ")
    assert service.bind(home.settings, ends) == []
    with pytest.raises(errors.Misconfigured, match=r"not to api\.example\.com"):
        service.bind(home.settings.model_copy(update={"monday_url": "https://api.example.com/v2"}), ends)
