"""Makes tests/integration/stored_home: a home folder in the midst of its life, as commit eac94e7 left it.

    git worktree add .then eac94e7 && cp tests/integration/make_stored_home.py .then/tests/integration/ && cd .then
    PYTHONPATH=$PWD ../.venv/bin/python -m tests.integration.make_stored_home

It runs with the modules of eac94e7 and is kept to be read, not to be run again: a home that today's program made
would prove nothing about one of then. Everything in it was done by real processes on a real Kafka; nothing was written
into its tables by hand but rows of ORDERS_UNIFIED, which is what people do. Kafka's own folder is left out.
"""

import json
import lzma
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib import request

import yaml
from confluent_kafka.admin import AdminClient

from connectors import samples
from connectors.monday.simulator.faults import Kind, Rule, Rules
from connectors.sample_changes import SourceChange, script
from mappings import sizes
from streams import demo, overview
from tests.chaos.real.points import Point, Strikes
from tests.chaos.real.stage import POLLER, ROOT, Stage, stage

FOLDER = Path(__file__).parent / "stored_home"
WORKER = "worker-1"
ORDERS, SEED = 120, 7
# The retry of a failure must lie in the future whenever the test runs: in some ten years, give or take a quarter.
TEN_YEARS = 10 * 365 * 24 * 60 * 60.0
# What goes into the home's ordersync.yaml. So few deletions stop a pass that a small home can show it.
SETTINGS: dict[str, Any] = {
    "monday_minute": 3.0,
    "poll_every": 0.5,
    "guard_deleted": 0.02,
    "guard_rows": 4,
    "verify_every": 5.0,
    "web_port": 0,
    "worker": WORKER,
}
HELD, REPLAYED = "JOHNNIE O", "TRACKSMITH"
NEW_STYLE = "CHANGED AND NOT DETECTED"


class Maker:
    """A stage, and the people who work with it."""

    def __init__(self, shown: Stage) -> None:
        self.stage = shown
        self.parts = shown.parts
        self.story: dict[str, Any] = {"held": HELD, "replayed": REPLAYED}
        self.environment = {**shown.services[POLLER].environment, "COLUMNS": "200", "LOGNAME": "operator"}
        self.strikes = Strikes(shown.strikes)
        self.used: set[str] = set()

    def make(self) -> None:
        """The life of this home."""
        self.settle()
        self.a_topic_is_deleted()
        self.apply(self.day(SEED))
        self.settle()
        self.fails_and_is_tried_again_later()
        self.until(lambda: not overview.collect(self.parts).unarchived, "every customer is archived")
        self.one_customer_on_hold()
        self.stage.remove_worker(POLLER)
        self.stage.remove_worker(WORKER)
        self.killed_between_request_and_answer()
        self.replay_is_killed()
        self.guard_stops_a_pass()

    def settle(self) -> None:
        """Until nothing is on its way."""
        demo.settle(self.stage, within=120, on_look=lambda seen: None)

    def until(self, condition: Callable[[], Any], what: str, within: float = 60.0) -> Any:
        """Waits for a condition."""
        deadline = time.monotonic() + within
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.1)
        print(f"ok: {what}", flush=True)
        return found

    def day(self, seed: int) -> list[SourceChange]:
        """A day's changes to the sample orders."""
        live = self.parts.orders.columns()
        labels = sizes.size_columns(live, self.parts.mappings.board.sizes)
        rows = samples.generate(seed=SEED, orders=ORDERS, columns=[name for name, _ in live], size_columns=labels)
        return script(rows, seed=seed, size_columns=labels)

    def apply(self, changes: Sequence[SourceChange]) -> None:
        """What people do to the source."""
        self.used |= {change.record_uuid for change in changes if change.record_uuid}
        demo.apply(self.parts, changes)

    def command(self, *arguments: str, code: int = 0, module: str = "streams") -> str:
        """A command on another terminal."""
        line = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(line, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        print(f"ordersync {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
        assert done.returncode == code
        return done.stdout

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the tables."""
        with self.parts.db.read() as session:
            return session.query(statement, values)

    def settled_orders(self, customer: str, number: int) -> list[str]:
        """So many of a customer's settled orders that nothing else happens to."""
        rows = self.query(
            "SELECT record_uuid FROM ORDERS_UNIFIED_SNAPSHOT WHERE customer = ? AND sync_state = 'IN_SYNC'"
            " ORDER BY record_uuid",
            customer,
        )
        found = [uuid for row in rows if (uuid := str(row["record_uuid"])) not in self.used][:number]
        assert len(found) == number, (customer, rows)
        self.used |= set(found)
        return found

    def restyle(self, uuids: Sequence[str], style: str) -> None:
        """Another style, which is part of an item's name."""
        with self.parts.db.write() as session:
            for uuid in uuids:
                session.execute("UPDATE ORDERS_UNIFIED SET [CUSTOMER STYLE] = ? WHERE record_uuid = ?", (style, uuid))

    def trouble(self, *rules: Rule) -> None:
        """The board's faults from now on."""
        root = self.parts.monday_url.rsplit("/", 1)[0]
        asked = request.Request(f"{root}/admin/faults", data=Rules.dump_json(rules), method="POST")
        with request.urlopen(asked, timeout=10) as answer:
            json.load(answer)

    def a_topic_is_deleted(self) -> None:
        """The worker ends, and its name in the group with it; its next life makes the topic again."""
        client = AdminClient({"bootstrap.servers": self.parts.bootstrap, "log_level": 0})
        for future in client.delete_topics(["orders.synced"]).values():
            future.result(10)
        member = self.parts.settings.home / "locks" / f"{WORKER}.member"
        self.until(member.exists, "the worker's name in the group has ended")
        self.restyle(self.settled_orders("LORNA JANE", 1), "AFTER A LOSS")
        self.settle()

    def fails_and_is_tried_again_later(self) -> None:
        """The API keeps silent about an edit and does not do it: an open failure with a time for its retry."""
        [uuid] = self.settled_orders("GREYSON CLOTHIERS", 1)
        self.trouble(Rule(kind=Kind.NULL_ALIAS, rate=1.0, share=1.0, executed=False))
        self.restyle([uuid], "TRIED AGAIN LATER")
        open_retry = (
            "SELECT err_id FROM ERR_MON_CustMasterSchedule WHERE record_uuid = ? AND retryable = 1"
            " AND resolved_date IS NULL AND next_retry_at > '2030'"
        )
        [row] = self.until(lambda: self.query(open_retry, uuid), "a retry is scheduled")
        self.trouble()
        self.story["retried"] = {"err_id": row["err_id"], "record_uuid": uuid, "style": "TRIED AGAIN LATER"}

    def one_customer_on_hold(self) -> None:
        """Then one of its orders is edited; passes see that and leave it alone."""
        self.command("hold", "--customer", HELD.lower())
        [uuid] = self.settled_orders(HELD, 1)
        self.restyle([uuid], "WHILE ON HOLD")
        self.story["edited_on_hold"] = {uuid: "WHILE ON HOLD"}

        def left_alone() -> bool:
            last = overview.collect(self.parts).last_pass
            return last is not None and last.on_hold == 1

        self.until(left_alone, "a pass left it alone")

    def killed_between_request_and_answer(self) -> None:
        """New orders are created on the board, and kill -9 comes before the worker reads the answer."""
        new = [change for change in self.day(SEED + 1) if change.kind == "NEW_ORDER"][:2]
        self.apply(new)
        self.strikes.arm(Point.RESPONSE)
        worker = self.stage.start_worker(WORKER)
        # No standby, and nobody who starts it again.
        worker.standby = False
        worker.start()
        self.command("detect")
        child = worker.child
        assert child is not None
        self.until(lambda: not child.running, "the worker died")
        assert child.wait(0) == -signal.SIGKILL
        self.strikes.disarm()
        [row] = self.query("SELECT request_key, mutations FROM SYNC_Requests WHERE finished_at IS NULL")
        assert "create_item" in row["mutations"], row
        self.story["in_doubt"] = {"request_key": row["request_key"], "orders": [one.record_uuid for one in new]}

    def replay_is_killed(self) -> None:
        """After it told the orders again: nobody works them, and the log that holds them will be lost."""
        self.strikes.arm(Point.PRODUCE)
        self.command(
            "replay", "--customer", REPLAYED.lower(), "--from-beginning",
            code=-signal.SIGKILL, module="tests.chaos.real.process",
        )  # fmt: skip
        self.strikes.disarm()
        assert self.parts.state.all_of("replay")

    def guard_stops_a_pass(self) -> None:
        """The last that happens at the source: edits, a new order, and more deletions than the guard lets pass."""
        edited = self.settled_orders("GREYSON CLOTHIERS", 3)
        self.restyle(edited, NEW_STYLE)
        gone = self.settled_orders("GREYSON CLOTHIERS", 5)
        with self.parts.db.write() as session:
            for uuid in gone:
                session.execute("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", (uuid,))
        [new] = [change for change in self.day(SEED + 2) if change.kind == "NEW_ORDER"][:1]
        self.apply([new])
        self.command("detect", code=3)
        self.story["edited"] = dict.fromkeys(edited, NEW_STYLE)
        self.story["deleted"] = gone
        self.story["new"] = [new.record_uuid]


def dump(database: Path, file: Path) -> None:
    """As SQL text, compressed: what is in it can be read and searched."""
    with closing(sqlite3.connect(database)) as connection:
        text = "\n".join(connection.iterdump())
    with lzma.open(file, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as out:
        out.write(text + "\n")


def main() -> None:
    # Who puts a customer on hold is noted by name.
    os.environ["LOGNAME"] = "operator"
    folder = Path(tempfile.mkdtemp(prefix="stored-home-"))
    settings = {**SETTINGS, "retry_first": TEN_YEARS}
    minute = settings.pop("monday_minute")
    del settings["worker"]
    with stage(folder, orders=ORDERS, seed=SEED, minute=minute, **settings) as shown:
        made = Maker(shown)
        made.make()
        home = shown.parts.settings.home
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "locks").mkdir(parents=True)
    dump(home / "orders.db", FOLDER / "orders.sql.xz")
    dump(home / "board" / "board.db", FOLDER / "board.sql.xz")
    for file in sorted((home / "locks").iterdir()):
        print("locks:", file.name, repr(file.read_text()))
        shutil.copyfile(file, FOLDER / "locks" / file.name)
    print("home:", sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()))
    (FOLDER / "ordersync.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
    (FOLDER / "story.json").write_text(json.dumps(made.story, indent=2) + "\n")
    print(folder, {path.name: path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()})


if __name__ == "__main__":
    main()
