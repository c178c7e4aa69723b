"""Nothing is silently wrong: what people do to table, mapping and plans, on `ordersync run` with everything real.

One service, and the stories one after the other on it; each ends with a board that is right. What the board shall show
is worked out here: every source row, converted with the mapping of now, without any table of ordersync.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from connectors import processes
from mappings import fingerprint, items, loading, sizes
from schemas.base import Cell
from schemas.batches import SyncState
from streams.cli import main as cli
from streams.commands import setup
from streams.detect import plans
from streams.detect import step as detect
from streams.runtime import connect, status, supervisor
from tests.integration.test_worker_process import ROOT, Plant, Until, plant_in

pytestmark = pytest.mark.timeout(600)
ORDERS = 130
WITHIN = 90.0
SOURCE = "ORDERS_UNIFIED"
RENAMED, RETYPED, ADDED = "M", "L", "XS TALL"
# An item of the board: name, group, texts by column, quantities by size.
Shown = tuple[str, str, dict[str, str], dict[str, int]]


class Service:
    """`ordersync run` with a mapping folder of its own, and the people who work with it."""

    def __init__(self, plant: Plant, folder: Path, until: Until) -> None:
        self.plant, self.parts, self.folder = plant, plant.parts, folder
        self._until = until
        self.environment = {**plant.environment(), "COLUMNS": "250", "TERM": "dumb", "NO_COLOR": "1"}
        self.log = plant.home / "run.log"

    def start(self) -> None:
        child = processes.Child(supervisor.ordersync("run"), log=self.log, environment=self.environment, folder=ROOT)
        self.plant.workers.append(child)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return self._until(condition, f"{what}; guard: {self.parts.state.get(detect.HELD)}", WITHIN)

    def ordersync(self, *arguments: str, code: int = 0) -> str:
        """What a command prints, without a terminal; it must end with this exit code."""
        done = testing.CliRunner(env=self.environment).invoke(cli.app, list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    # What people do.

    def execute(self, *statements: str) -> None:
        """In one transaction."""
        with self.parts.db.write() as session:
            for statement in statements:
                session.execute(statement)

    def retype(self, column: str, before: str, after: str) -> None:
        """Makes the source table again with another type of one column."""
        [table] = self.query("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", SOURCE)
        indexes = self.query("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql > ''", SOURCE)
        made = str(table["sql"]).replace(f"[{column}] {before} ", f"[{column}] {after} ")
        assert made != table["sql"]
        self.execute(
            made.replace(SOURCE, "MADE_ANEW", 1),
            f"INSERT INTO MADE_ANEW SELECT * FROM {SOURCE}",
            f"DROP TABLE {SOURCE}",
            f"ALTER TABLE MADE_ANEW RENAME TO {SOURCE}",
            *[str(index["sql"]) for index in indexes],
        )

    def fill(self, rows: Iterable[Mapping[str, Cell]]) -> None:
        """Writes rows into the source, in one transaction."""
        with self.parts.db.write() as session:
            for row in rows:
                setup.insert_order(session, row)

    def edit_mapping(self, name: str, before: str, after: str) -> None:
        """Saves a file of the mapping as editors do; returns once detection has it."""
        text = (self.folder / name).read_text()
        assert text.count(before) == 1
        (self.folder / "saved").write_text(text.replace(before, after))
        (self.folder / "saved").replace(self.folder / name)
        newest = fingerprint.fingerprint(loading.read(self.folder))
        self.until(
            lambda: (self.parts.state.get(detect.MAPPING) or {}).get("fingerprint") == newest, "the poller has it"
        )

    # What there is.

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.parts.db.read() as session:
            return session.query(statement, values)

    def rows(self) -> dict[str, dict[str, Cell]]:
        """The source, by identity."""
        return {str(row["record_uuid"]): row for row in self.query(f"SELECT * FROM {SOURCE}")}

    def expected(self) -> dict[str, Shown]:
        """The items that the source asks for, by order."""
        mappings = loading.read(self.folder)
        columns = [(column.name, column.type) for column in self.parts.db.columns(SOURCE)]
        size_columns = sizes.size_columns(columns, mappings.board.sizes)
        found = {}
        for uuid, row in self.rows().items():
            if items.is_excluded(row, mappings):
                continue
            order = items.convert(row, size_columns=size_columns, mappings=mappings, target_lengths={}).order
            assert order is not None
            cells = items.board_columns(order.values, uuid, mappings)
            texts = {column: plain(value) for column, value in cells.items()}
            found[uuid] = (order.item_name, order.group_name, texts, dict(order.sizes))
        return found

    def shown(self) -> dict[str, Shown]:
        """The items of the board by order. A size of 0 is none."""
        board = self.parts.mappings.board
        ours = {column.id for column in board.columns} | {board.key.id}
        found: dict[str, Shown] = {}
        for item in asyncio.run(connect.ask_board(self.parts, connect.read_items)):
            texts = {name: cell.text for name, cell in item.columns.items() if name in ours and cell.text}
            labels = [str(one.columns[board.subitem.size.id].text) for one in item.subitems]
            assert len(labels) == len(set(labels)), item
            quantities = [int(one.columns[board.subitem.quantity.id].text or 0) for one in item.subitems]
            pieces = {label: n for label, n in zip(labels, quantities, strict=True) if n}
            assert texts[board.key.id] not in found, "an order has two items"
            found[texts[board.key.id]] = (item.name, item.group_title, texts, pieces)
        return found

    def requests(self) -> int:
        """The number of requests that the writer has sent."""
        [row] = self.query("SELECT COUNT(*) AS n FROM SYNC_Requests")
        return int(row["n"])

    def held(self, *, but: Collection[str] = ()) -> str:
        """Waits until the guard holds a plan, and none of these. Its id."""

        def plan() -> str | None:
            held = self.parts.state.get(plans.NAME)
            return None if held is None or held in but else str(held)

        return str(self.until(plan, "the guard holds a plan"))

    def rests(self, *, held: bool = False) -> status.Status:
        """Waits until a pass that began after now has found nothing to emit, and nothing is on its way."""
        since = datetime.now(UTC).replace(tzinfo=None)

        def at_rest() -> status.Status | None:
            seen = status.collect(self.parts)
            last = seen.last_pass
            passed = last is not None and last.started_at.replace(tzinfo=None) > since and not last.emitted
            waits = seen.total[SyncState.WAITING] or seen.unsettled_mutations or seen.in_doubt
            return seen if passed and not waits and (seen.held is not None) is held else None

        found: status.Status = self.until(at_rest, "everything is settled")
        return found

    def is_right(self, *, but: Mapping[str, Shown] | None = None) -> None:
        """The board shows what the source asks for; of some orders what is given here."""
        assert differing({**self.expected(), **(but or {})}, self.shown()) == []


def plain(value: Any) -> str:
    """A value of the API as a user reads it."""
    if isinstance(value, dict):
        [value] = value.values()
    return str(value[0] if isinstance(value, list) else value)


def differing(expected: Mapping[str, Shown], shown: Mapping[str, Shown]) -> list[tuple[str, Any, Any]]:
    uuids = sorted(expected.keys() | shown.keys())
    return [(uuid, expected.get(uuid), shown.get(uuid)) for uuid in uuids if expected.get(uuid) != shown.get(uuid)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, broker: str, until: Until) -> Iterator[Service]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("mapping")
    for name in ("board.yaml", "customers.csv", "values.csv"):
        shutil.copy(ROOT / "mappings" / name, folder)
    with plant_in(home, broker, until, orders=ORDERS, mappings=folder, poll_every=0.3, web_port=0) as plant:
        plant.add_key_column()
        made = Service(plant, folder, until)
        made.start()
        made.until(lambda: made.parts.state.get(detect.LAST), "the first pass")
        made.rests()
        made.is_right()
        yield made


def test_a_renamed_size_column_is_held_and_moves_the_quantities_once_it_is_accepted(service: Service) -> None:
    changed = {uuid: row[RENAMED] for uuid, row in service.rows().items() if row[RENAMED] is not None}
    orders = [uuid for uuid, pieces in changed.items() if pieces]
    assert 20 < len(orders) < len(changed)
    before = service.shown()
    service.execute(f"ALTER TABLE {SOURCE} RENAME COLUMN [{RENAMED}] TO [MEDIUM]")
    plan = service.held()
    [line] = service.ordersync("status", "--check", code=3).splitlines()
    assert line.startswith(f"person    guard: [{RENAMED}] is not in {SOURCE} any more")
    assert f"ordersync accept {plan}" in line
    said = service.ordersync("plan")
    assert f"plan {plan}" in said
    assert f"changes  {len(changed)} updated" in said
    assert f"[MEDIUM] {len(changed)}" in said
    service.rests(held=True)
    assert service.shown() == before
    said = service.ordersync("accept", plan, "--reason", "M is called MEDIUM now")
    assert f"{len(changed)} of {len(changed)} changes stand" in said
    service.rests()
    service.is_right()
    after = service.shown()
    assert [after[uuid][3]["MEDIUM"] for uuid in orders] == [before[uuid][3][RENAMED] for uuid in orders]
    assert not [uuid for uuid in orders if RENAMED in after[uuid][3]]


def test_a_size_column_that_became_real_is_held_until_it_is_an_integer_column_again(service: Service) -> None:
    before, requests = service.shown(), service.requests()
    assert sum(RETYPED in shown[3] for shown in before.values()) > 20
    service.retype(RETYPED, "INTEGER", "REAL")
    plan = service.held()
    [line] = service.ordersync("status", "--check", code=3).splitlines()
    assert line.startswith(f"person    guard: [{RETYPED}] is REAL now, and a size is an integer column")
    assert f"ordersync accept {plan}" in line
    service.rests(held=True)
    service.retype(RETYPED, "REAL", "INTEGER")
    service.rests()
    assert service.ordersync("status", "--check") == "well\n"
    assert service.requests() == requests
    assert service.shown() == before
    service.is_right()


def test_a_size_that_is_added_to_the_table_is_named_until_board_yaml_says_what_it_is(service: Service) -> None:
    orders = sorted(service.shown())[:6]
    service.execute(
        f"ALTER TABLE {SOURCE} ADD COLUMN [{ADDED}] INTEGER",
        *[f"UPDATE {SOURCE} SET [{ADDED}] = {n} WHERE record_uuid = '{uuid}'" for n, uuid in enumerate(orders, 1)],
    )
    named = f"the integer column [{ADDED}] of {SOURCE} holds numbers that no item shows"
    service.until(lambda: service.parts.state.get("attention.columns"), "the column is noticed")
    [line] = service.ordersync("status", "--check", code=3).splitlines()
    assert named in line
    assert '"also"' in line
    assert named in service.ordersync("validate", code=1)
    service.edit_mapping("board.yaml", '"also": []', f'"also": ["{ADDED}"]')
    service.rests()
    service.is_right()
    shown = service.shown()
    assert [shown[uuid][3][ADDED] for uuid in orders] == [1, 2, 3, 4, 5, 6]
    assert service.ordersync("status", "--check") == "well\n"


def test_a_mended_customer_alias_moves_the_orders_that_did_not_change(service: Service) -> None:
    orders = sorted(uuid for uuid, row in service.rows().items() if row["CUSTOMER NAME"] == "TRACKSMITH")
    assert len(orders) > 3
    before = service.shown()
    assert all(before[uuid][1].startswith("TRACK SMITH ") for uuid in orders)
    service.edit_mapping("customers.csv", "TRACKSMITH,TRACK SMITH", "TRACKSMITH,TRACKSMITH")
    service.rests()
    service.is_right()
    after = service.shown()
    assert [uuid for uuid in sorted(after) if after[uuid] != before[uuid]] == orders
    assert all(after[uuid][1].startswith("TRACKSMITH ") for uuid in orders)
    in_production = service.query("SELECT source_uuid, [CUSTOMER] AS customer FROM MON_CustMasterSchedule")
    names = {row["source_uuid"]: row["customer"] for row in in_production}
    assert {names[uuid] for uuid in orders} == {"TRACKSMITH"}
    assert "TRACK SMITH" not in names.values()


def test_a_cell_that_is_no_utf_8_stops_its_own_order_only(service: Service) -> None:
    before = service.shown()
    bad, *others = sorted(before)[:4]
    edit = f"UPDATE {SOURCE} SET [NOTES] = 'in the same moment' WHERE record_uuid = "
    service.execute(
        f"UPDATE {SOURCE} SET [NOTES] = CAST(x'ff41' AS TEXT) WHERE record_uuid = '{bad}'",
        *[f"{edit}'{uuid}'" for uuid in others],
    )
    service.until(service.parts.failures.waiting, "it is an ERR row")
    service.rests()
    [row] = json.loads(service.ordersync("errors", "--json"))
    assert (row["record_uuid"], row["error_code"]) == (bad, "UNREADABLE_CELL")
    assert "[NOTES]" in row["error_message"]
    assert service.ordersync("status", "--check", code=1).count("UNREADABLE_CELL") == 1
    shown = service.shown()
    assert shown[bad] == before[bad]
    assert all("in the same moment" in shown[uuid][2].values() for uuid in others)
    service.execute(f"UPDATE {SOURCE} SET [NOTES] = 'readable' WHERE record_uuid = '{bad}'")
    service.until(lambda: not service.parts.failures.waiting(), "the ERR row is resolved")
    service.rests()
    service.is_right()
    assert service.ordersync("status", "--check") == "well\n"


def test_an_accepted_plan_archives_nothing_of_a_table_that_was_emptied_meanwhile(service: Service) -> None:
    before = service.shown()
    orders = sorted(before)
    edited, emptied = orders[:117], orders[::2]
    service.execute(*[f"UPDATE {SOURCE} SET [NOTES] = 'harmless' WHERE record_uuid = '{uuid}'" for uuid in edited])
    harmless = service.held()
    assert "117 of 117 rows differ only in [NOTES]" in service.ordersync("plan")
    whole = service.rows()
    service.execute(*[f"DELETE FROM {SOURCE} WHERE record_uuid = '{uuid}'" for uuid in emptied])
    now = service.held(but=(harmless,))
    said = service.ordersync("detect", "--accept", code=3)
    assert f"not accepted: nobody has seen this plan before. If it is right: ordersync accept {now}" in said
    stand = sorted(set(edited) - set(emptied))
    said = service.ordersync("accept", harmless, "--reason", "only the notes")
    assert f"{len(stand)} of 117 changes stand: {len(stand)} emitted; {117 - len(stand)} changed since" in said
    deletes = service.held(but=(harmless, now))
    service.rests(held=True)
    shown = service.shown()
    assert [uuid for uuid in orders if shown[uuid] != before[uuid]] == stand
    service.is_right(but={uuid: before[uuid] for uuid in emptied})
    held = json.loads(service.ordersync("plan", "--json"))
    assert (held["id"], held["counts"], len(held["deletes"])) == (deletes, {"DELETED": len(emptied)}, len(emptied))
    service.fill(whole[uuid] for uuid in emptied)
    service.rests()
    service.is_right()
    assert service.ordersync("status", "--check") == "well\n"


def test_verify_names_a_cell_that_was_forged_in_all_of_our_tables(service: Service) -> None:
    service.rests()
    service.ordersync("verify")
    uuid = next(uuid for uuid, row in service.rows().items() if row["CUSTOMER PRICE"])
    [column] = [one.id for one in service.parts.mappings.board.columns if one.source == "CUSTOMER PRICE"]
    tables = ("MON_CustMasterSchedule", "STG_MON_CustMasterSchedule")
    [entry] = service.query("SELECT * FROM SYNC_Ledger WHERE record_uuid = ? AND size_label = ''", uuid)
    forged = json.dumps(json.loads(entry["columns_json"]) | {column: "0.01"}, ensure_ascii=False)
    service.execute(
        *[
            f"UPDATE {table} SET [CUSTOMER PRICE] = '0.01', version = version + 100000 WHERE source_uuid = '{uuid}'"
            for table in tables
        ],
        "UPDATE SYNC_Ledger SET version = version + 100000, columns_json = "
        f"'{forged.replace(chr(39), chr(39) * 2)}' WHERE record_uuid = '{uuid}' AND size_label = ''",
    )
    said = service.ordersync("verify", code=1)
    assert uuid in said
    price = service.rows()[uuid]["CUSTOMER PRICE"]
    assert f"[CUSTOMER PRICE]: source '{price}', production '0.01', board '0.01'" in said


def test_the_actions_say_what_was_accepted_why_and_with_what_effect(service: Service) -> None:
    found = [row for row in json.loads(service.ordersync("actions", "--json")) if row["action"] == "accept"]
    assert [row["reason"] for row in found] == ["only the notes", "M is called MEDIUM now"]
    assert all(row["who"] == connect.operator() for row in found)
    assert [row["effect"].partition(":")[0].endswith("changes stand") for row in found] == [True, True]
    assert "Traceback" not in "".join(path.read_text() for path in (service.plant.home / "logs").glob("*.log"))
