"""A home folder of commit eac94e7 goes on working: names of tables, topics, facts, settings and commands stay.

The home was left in the midst of its life (make_stored_home.py): a request whose answer nobody read, orders whose
events are lost with Kafka's folder, a customer on hold, a pass that the guard stopped, failures, a replay that was
killed. One story, told in order: the tests share one home, and each begins where the one before it ended.
"""

import ast
import asyncio
import json
import lzma
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from connectors import processes
from sql import tables
from streams import topics
from streams.cli import main as cli
from streams.demo import proof
from streams.resources import Resources, utcnow
from streams.runtime import connect, embedded
from streams.runtime import status as statuses
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).parent / "stored_home"
STORY = json.loads((STORED / "story.json").read_text())
# Everything waits by condition; these are for a machine with a lot of other work.
COMMAND_WITHIN = 180.0
WITHIN = 180.0
Row = dict[str, Any]

# As they were at eac94e7. There may be more today; none of these may be missing.
FACTS = (
    "api.reads", "archive.due", "cleanup.last", "detect.accepted", "detect.baseline", "detect.held", "detect.last",
    "detect.pass", "detect.turns", "retry.breaker", "sweep.found", "sync.parkings", "verify.board", "verify.last",
)  # fmt: skip
FAMILIES = ("hold", "replay", "worker")
# Named values and files that a home of today has besides.
NEWER_FACTS = {"binding", "detect.mapping", "detect.plan", "detect.shown", "verify.round"}
NEWER_FILES = {"binding.json"}
TABLES = (
    "ORDERS_UNIFIED", "ORDERS_UNIFIED_SNAPSHOT", "STG_MON_CustMasterSchedule", "STG_MON_CustMasterSchedule_Subitems",
    "MON_CustMasterSchedule", "MON_CustMasterSchedule_Subitems", "ERR_MON_CustMasterSchedule",
    "ERR_MON_CustMasterSchedule_Subitems", "MON_BatchProcessing", "SYNC_Ledger", "SYNC_Requests", "SYNC_Groups",
    "SYNC_Lease", "SYNC_State", "SYNC_SchemaVersion", "snapshot_archive",
)  # fmt: skip
VIEWS = ("VW_MON_ActiveBatches",)
TOPICS = {
    "orders.changed": 8, "orders.staged": 1, "orders.synced": 8, "orders.failed": 8, "orders.dead-letter": 1,
}  # fmt: skip
VERBS = {
    "setup": "--sample-orders --seed --print-sql --print-grants --grant",
    "validate": "",
    "detect": "--customer --po-number --aag-season --customer-season --limit --accept --dry-run --every --hash"
    " --oracle",
    "work": "",
    "run": "",
    "status": "--json",
    "board": "--serve",
    "demo": "--orders --seed --minute --keep",
    "errors": "--customer --type --code --kind --age --json --dismiss --reason",
    "retry": "--customer --type --code --all --dry-run",
    "trace": "--json",
    "archive list": "--customer",
    "archive show": "--customer --at --order --csv --parquet",
    "archive prune": "",
    "rollback": "--customer --to --release --dry-run --yes",
    "hold": "--customer",
    "release": "--customer",
    "verify": "--board --fix --wait --timeout --json",
    "replay": "--customer --all --from-offset --since --from-beginning --to-offset --dry-run --anew --timeout",
    "": "--home --database --verbose -v",
}
VARIABLES = (
    "KAFKA_BOOTSTRAP_SERVERS", "MONDAY_API_TOKEN", "ORDERSYNC_ARCHIVE", "ORDERSYNC_ARCHIVE_DAYS",
    "ORDERSYNC_ARCHIVE_PASSWORD_FILE", "ORDERSYNC_ARCHIVE_SNAPSHOTS", "ORDERSYNC_BATCH_SIZE", "ORDERSYNC_DATABASE",
    "ORDERSYNC_DATABASE_PASSWORD", "ORDERSYNC_DATABASE_PASSWORD_FILE", "ORDERSYNC_DETECT_HASH", "ORDERSYNC_GROUP",
    "ORDERSYNC_GUARD_CHANGED", "ORDERSYNC_GUARD_DELETED", "ORDERSYNC_GUARD_ROWS", "ORDERSYNC_HOME",
    "ORDERSYNC_KAFKA_CA_FILE", "ORDERSYNC_KAFKA_PASSWORD", "ORDERSYNC_KAFKA_PASSWORD_FILE",
    "ORDERSYNC_KAFKA_REPLICATION", "ORDERSYNC_KAFKA_SASL_MECHANISM", "ORDERSYNC_KAFKA_SECURITY_PROTOCOL",
    "ORDERSYNC_KAFKA_USERNAME", "ORDERSYNC_KEEP_DAYS", "ORDERSYNC_LEASE_SECONDS", "ORDERSYNC_MAPPINGS",
    "ORDERSYNC_MONDAY_LIMITS", "ORDERSYNC_MONDAY_MINUTE", "ORDERSYNC_MONDAY_PLAN", "ORDERSYNC_MONDAY_TOKEN",
    "ORDERSYNC_MONDAY_TOKEN_FILE", "ORDERSYNC_MONDAY_TOKEN_TIER", "ORDERSYNC_MONDAY_URL", "ORDERSYNC_POLL_EVERY",
    "ORDERSYNC_RETRY_FIRST", "ORDERSYNC_RETRY_TRIES", "ORDERSYNC_TOPIC_PREFIX", "ORDERSYNC_VERIFY_BOARD_EVERY",
    "ORDERSYNC_VERIFY_EVERY", "ORDERSYNC_WEB_BIND", "ORDERSYNC_WEB_PORT", "ORDERSYNC_WINDOW_MINUTES",
    "ORDERSYNC_WORKER",
)  # fmt: skip
# Below the home folder: another name would be another file, beside the one of then.
FILES = (
    "board/board.db", "board/lock", "kafka/owner.lock", "locks/detect", "locks/worker-1", "locks/worker-1.lease",
    "locks/worker-1.member", "logs/poller.log", "logs/worker.log", "orders.db",
)  # fmt: skip
# Where another default would look for what is there, or tell the broker another name.
DEFAULTS = {"home": Path(".ordersync"), "database": "", "group": "ordersync", "topic_prefix": "", "worker": "worker-1"}


class Home:
    """A folder as a person has it: ordersync.yaml, and the home beside it."""

    def __init__(self, folder: Path, until: Callable[..., Any]) -> None:
        self.folder, self.until = folder, until
        self.home = folder / ".ordersync"
        (self.home / "board").mkdir(parents=True)
        shutil.copytree(STORED / "locks", self.home / "locks")
        shutil.copy(STORED / "ordersync.yaml", folder)
        restore(STORED / "orders.sql.xz", self.home / "orders.db")
        restore(STORED / "board.sql.xz", self.home / "board" / "board.db")
        told = yaml.safe_load((folder / "ordersync.yaml").read_text())
        self.parts = Resources(Settings(home=self.home, **told))
        self.service: processes.Child | None = None
        self.stored = {name: self.query(f"SELECT * FROM [{name}]") for name in TABLES}
        snapshots = self.stored["ORDERS_UNIFIED_SNAPSHOT"]
        self.waiting = {row["record_uuid"] for row in snapshots if row["sync_state"] == "WAITING"}
        self.stored_items = self.shown_in_the_file()

    @property
    def environment(self) -> dict[str, str]:
        """Of every process: what the run of the tests itself was told is not for them."""
        ours = ("ORDERSYNC_", "KAFKA_", "MONDAY_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"}

    def ordersync(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it must end with this code."""
        line = [*program(), *arguments]
        done = subprocess.run(
            line, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=COMMAND_WITHIN
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def run(self) -> None:
        """The service, until the end of the tests; it is asked at the board that it runs."""
        log = self.folder / "run.log"
        self.service = processes.Child([*program(), "run"], log=log, environment=self.environment, folder=self.folder)
        self.parts.monday_url = self.until(lambda: embedded.Simulator.attach(self.home), "the board answers", WITHIN)

    def stop(self) -> int | None:
        """Stops the service in order. Its exit code."""
        service, self.service = self.service, None
        if service is None:
            return None
        service.signal(signal.SIGTERM)
        code = service.wait(30)
        service.stop(0)
        return code

    def query(self, statement: str, *values: Any) -> list[Row]:
        with self.parts.db.read() as session:
            return session.query(statement, values)

    def value(self, statement: str, *values: Any) -> Any:
        with self.parts.db.read() as session:
            return session.value(statement, values)

    def shown_in_the_file(self) -> dict[str, str]:
        """Item ids by order, out of the board's own file."""
        key = self.parts.mappings.board.key.id
        items = (
            "SELECT c.text, i.id FROM items AS i JOIN cells AS c ON c.item_id = i.id"
            " WHERE i.state = 'active' AND i.parent_id IS NULL AND c.column_id = ?"
        )
        with closing(sqlite3.connect(self.home / "board" / "board.db")) as connection:
            return {uuid: str(item_id) for uuid, item_id in connection.execute(items, (key,))}

    def items(self) -> list[Any]:
        """The board's items, asked over its API."""
        return asyncio.run(connect.ask_board(self.parts, connect.read_items))

    def names(self) -> dict[str, str]:
        """Names of items by order."""
        key = self.parts.mappings.board.key.id
        return {item.columns[key].text: item.name for item in self.items()}

    def styles(self) -> dict[str, str]:
        """Styles in production by order."""
        rows = self.query("SELECT source_uuid, [STYLE] AS style FROM MON_CustMasterSchedule")
        return {row["source_uuid"]: row["style"] for row in rows}

    def in_doubt(self) -> list[str]:
        """Requests of which nobody knows what became of them."""
        return [
            row["request_key"] for row in self.query("SELECT request_key FROM SYNC_Requests WHERE finished_at IS NULL")
        ]

    @staticmethod
    def updates(facts: list[Row]) -> dict[str, str]:
        """When each fact was told last."""
        return {row["name"]: row["updated_at"] for row in facts}

    def settles(self) -> statuses.Status:
        """Waits until a pass that began after now found nothing more, and nothing is on its way."""
        since = utcnow()

        def at_rest() -> statuses.Status | None:
            seen, waiting = statuses.collect(self.parts), self.in_doubt()
            assert seen.held is None
            last = seen.last_pass
            quiet = last is not None and last.started_at > since and last.quiet
            return seen if quiet and seen.settled and not waiting else None

        found: statuses.Status = self.until(at_rest, f"settled; see {self.home / 'logs'}", WITHIN)
        return found


def program() -> list[str]:
    """The installed command, by the name that people type."""
    return [str(Path(sys.executable).with_name("ordersync"))]


def restore(dump: Path, database: Path) -> None:
    """A database out of its SQL text."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(lzma.decompress(dump.read_bytes()).decode())


def projected(rows: list[Row], columns: list[str]) -> list[str]:
    """These columns of the rows, in an order that does not depend on how they are stored."""
    return sorted(repr([row[column] for column in columns]) for row in rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, until: Callable[..., Any]) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("stored"), until)
    try:
        yield made
    finally:
        made.stop()
        made.parts.close()


def test_no_table_topic_setting_or_command_has_another_name_than_then() -> None:
    assert set(TABLES) <= set(tables.all_tables())
    assert tables.ACTIVE_BATCHES in VIEWS
    assert {topic.name: topic.partitions for topic in topics.ALL} == TOPICS
    aliases = [field.validation_alias for field in Settings.model_fields.values()]
    named = {str(choice) for alias in aliases for choice in getattr(alias, "choices", ())}
    plain = {f"ORDERSYNC_{name.upper()}" for name, field in Settings.model_fields.items() if not field.validation_alias}
    assert set(VARIABLES) <= named | plain
    assert {name: Settings.model_fields[name].default for name in DEFAULTS} == DEFAULTS
    found = dict(verbs(typer.main.get_command(cli.app)))
    for verb, options in VERBS.items():
        assert set(options.split()) <= found[verb], f"ordersync {verb}"


def test_every_fact_is_still_named_somewhere_in_the_program() -> None:
    """Some are written only in trouble that this home does not meet."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    files = [file for package in packages for file in (ROOT / package.replace(".", "/")).glob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert texts.issuperset(FACTS + FAMILIES), set(FACTS + FAMILIES) - texts


def test_setup_leaves_everything_that_is_there(home: Home) -> None:
    # Kafka starts empty; columns, indexes and the tables of plans may be new, and then the view is made again. Another
    # table that is made would be one that has another name now.
    new = (
        r"created \d+ columns?: .*|created \d+ index(?:es)?: .*|created 1 view: VW_MON_ActiveBatches"
        r"|created \d+ tables: SYNC_Plans, SYNC_PlanRows, SYNC_Actions"
        r"|bound to database \S+orders\.db, account \d+ \(Simulator\), board 9200517329 \(.*\), API the bundled board"
    )
    fine = re.compile(rf"everything exists already|created topic orders\.\S+|{new}")
    assert [line for line in home.ordersync("setup").splitlines() if not fine.fullmatch(line)] == []
    for name, rows in home.stored.items():
        columns = list(rows[0]) if rows else []
        found = [row for row in home.query(f"SELECT * FROM [{name}]") if row.get("name") not in NEWER_FACTS]
        now = projected(found, columns)
        before = projected(rows, columns)
        assert now == before or (name == "SYNC_SchemaVersion" and set(before) < set(now)), name
    assert home.shown_in_the_file() == home.stored_items


def test_the_commands_tell_what_was_left(home: Home) -> None:
    seen = json.loads(home.ordersync("status", "--json"))
    assert "5 of 122 orders were deleted at once" in seen["held"]
    assert [(one["customer"], one["by"]) for one in seen["holds"]] == [(STORY["held"], "operator")]
    assert seen["source_rows"] == len(home.stored["ORDERS_UNIFIED"])
    assert seen["failures"] == {"VALIDATION": 1, "NO_IDENTITY": 1, "DUPLICATE_IDENTITY": 1, "UNSETTLED": 1}
    assert sum(one["orders"].get("WAITING", 0) for one in seen["customers"]) == len(home.waiting)
    waiting = {row["err_id"]: row for row in json.loads(home.ordersync("errors", "--json"))}
    assert len(waiting) == 4
    assert waiting[STORY["retried"]["err_id"]]["next_retry_at"] > "2030"
    archived = home.ordersync("archive", "list")
    assert f"{len(home.stored['snapshot_archive'])} snapshots" in archived
    assert STORY["held"] in archived
    edited = next(iter(STORY["edited"]))
    life = json.loads(home.ordersync("trace", edited, "--json"))
    assert [one["column"] for one in life["differences"]] == ["CUSTOMER STYLE"]
    assert life["moments"]


def test_the_service_ends_what_was_in_doubt_while_the_guard_still_holds(home: Home) -> None:
    assert home.in_doubt() == [STORY["in_doubt"]["request_key"]]
    home.run()
    home.until(lambda: not home.in_doubt(), "the request in doubt has ended", WITHIN)
    number = home.parts.state.get("detect.pass")
    home.until(lambda: home.parts.state.get("detect.pass") > number + 1, "passes go by", WITHIN)
    assert "5 of 122 orders" in home.parts.state.get("detect.held")
    assert home.names().keys() == home.stored_items.keys()


def test_accepted_all_that_nobody_had_detected_arrives_but_for_the_customer_on_hold(home: Home) -> None:
    plan = json.loads(home.ordersync("plan", "--json"))
    home.ordersync("accept", plan["id"], "--reason", "the edits of then")
    seen = home.settles()
    names, styles = home.names(), home.styles()
    for uuid, style in STORY["edited"].items():
        assert styles[uuid] == style
        assert style in names[uuid]
    assert names.keys() >= set(STORY["new"]) | set(STORY["in_doubt"]["orders"])
    assert not names.keys() & set(STORY["deleted"])
    for uuid, style in STORY["edited_on_hold"].items():
        assert styles[uuid] != style
        assert style not in names[uuid]
    assert [one.customer for one in seen.holds] == [STORY["held"]]
    # The orders of the replay and of the request in doubt waited for events that are lost; no other did.
    assert "sweep.found" not in home.updates(home.stored["SYNC_State"])
    assert home.parts.state.get("sweep.found") == len(home.waiting)


def test_a_release_a_retry_and_the_killed_replay_go_on(home: Home) -> None:
    home.ordersync("release", "--customer", STORY["held"].lower())
    home.ordersync("retry", str(STORY["retried"]["err_id"]))
    home.ordersync("replay", "--customer", STORY["replayed"].lower(), "--from-beginning")
    home.until(
        lambda: STORY["retried"]["err_id"] not in {row["err_id"] for row in home.parts.failures.waiting()},
        "what failed has arrived",
        WITHIN,
    )
    assert not home.settles().holds
    names, styles = home.names(), home.styles()
    told = {**STORY["edited_on_hold"], STORY["retried"]["record_uuid"]: STORY["retried"]["style"]}
    for uuid, style in told.items():
        assert styles[uuid] == style
        assert style in names[uuid]
    assert {row["error_code"] for row in home.parts.failures.waiting()} == {
        "VALIDATION", "NO_IDENTITY", "DUPLICATE_IDENTITY",
    }  # fmt: skip


def test_source_production_and_board_agree_and_every_item_is_the_one_of_then(home: Home) -> None:
    found = home.items()
    assert proof.prove(home.parts, found).wrong == []
    key = home.parts.mappings.board.key.id
    ids = {item.columns[key].text: item.id for item in found}
    assert len(ids) == len(found)
    stayed = {uuid: item_id for uuid, item_id in home.stored_items.items() if uuid not in STORY["deleted"]}
    assert ids == stayed | {uuid: ids[uuid] for uuid in STORY["new"]}


def test_the_facts_bear_the_names_of_then(home: Home) -> None:
    stored = home.updates(home.stored["SYNC_State"])
    ended = {name for name in stored if name.startswith(("hold.", "replay."))}
    assert len(ended) == 2
    go_on = stored.keys() - ended - {"detect.baseline"}

    def told() -> dict[str, str]:
        return home.updates(home.query("SELECT name, updated_at FROM SYNC_State"))

    home.until(lambda: all(told()[name] > stored[name] for name in go_on), f"all of {go_on} are told again", WITHIN)
    now = told()
    assert stored.keys() - now.keys() == ended
    assert {name for name in now if name not in FACTS and name.partition(".")[0] not in FAMILIES} == NEWER_FACTS


def test_stopped_nothing_is_left_running_and_no_log_tells_of_a_bug(home: Home) -> None:
    assert home.stop() == 0
    home.until(lambda: not running_in(home.folder), "every process has ended", WITHIN)
    # SQLite and Faust have files of their own.
    apart = {"orders.db-wal", "orders.db-shm", "faust"}
    assert {path.name for path in home.home.iterdir()} - apart == {
        file.partition("/")[0] for file in FILES
    } | NEWER_FILES
    for folder in ("locks", "logs"):
        found = {f"{folder}/{path.name}" for path in (home.home / folder).iterdir()}
        assert found <= set(FILES)
    for log in [home.folder / "run.log", *(home.home / "logs").iterdir()]:
        assert "Traceback" not in log.read_text(), log


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Every command, by the words that are typed, with its options."""
    yield " ".join(path), {option for one in command.params for option in one.opts}
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, (*path, name))


def running_in(folder: Path) -> list[str]:
    """Processes that work in this folder or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = (process / "cwd").readlink()
        except OSError:
            continue  # It has ended, or is another user's.
        if where.is_relative_to(folder):
            found.append(process.name)
    return found
