"""A stage in trouble: somebody keeps changing its source, and it is noted what an operator sees and how it goes on."""

import json
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from connectors import database, samples
from connectors.tables import lost_events
from mappings import sizes
from sql import identifiers
from streams.demo import stage as demo
from streams.diagnosis import heartbeat
from streams.resources import Resources, utcnow
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real import rest
from tests.chaos.real.stage import ROOT, Stage

# Of the broker's return to the end of an edit that was made at that moment, in seconds.
GOES_ON_WITHIN = 30.0
GIVE_UP = 150.0
# So soon a trouble that lasts is on /live and in `ordersync status`; and so many lines of log tell of it, at most.
SAID_WITHIN = 20.0
LINES = 15
# Of every kind of deviation so many are shown.
SHOWN = 5
LOOK = 0.25
AWAY = "Kafka at"
EDIT_EVERY = 0.25
# Of the orders that are edited again and again: well below the share at which the guard stops a pass.
HOT = 25


@dataclass
class Source:
    """People who change quantities in ORDERS_UNIFIED: of a few orders again and again, and one order on demand."""

    parts: Resources
    rng: random.Random
    edits: int = 0
    # What it ever said of an order's size, in its order.
    told: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _quantities: dict[str, tuple[str, int]] = field(default_factory=dict)
    _marker: str = ""

    @classmethod
    def of(cls, parts: Resources, *, orders: int, seed: int) -> "Source":
        live = parts.orders.columns()
        labels = sizes.size_columns(live, parts.mappings.board.sizes)
        rows = samples.generate(seed=seed, orders=orders, columns=[name for name, _ in live], size_columns=labels)
        made = cls(parts, random.Random(f"source of {seed}"))
        valid = []
        for one in rows:
            quantities = {label: str(one.row[label]) for label in labels if one.row[label]}
            made.told |= {(one.record_uuid, label): [quantity] for label, quantity in quantities.items()}
            # Few have no size at all.
            if one.expected is samples.Expected.VALID and quantities:
                label, quantity = next(iter(quantities.items()))
                valid.append((one.record_uuid, label, int(quantity)))
        for uuid, label, number in made.rng.sample(valid, HOT + 1):
            # Of these alone no change of TOTAL QTY is needed: a sum that is wrong is a warning and no error.
            made._quantities[uuid] = (label, number)
        made._marker = next(iter(made._quantities))
        return made

    @property
    def said(self) -> oracle.Said:
        """For the oracle: nobody here makes an order fail."""
        return oracle.Said(self.told)

    def edit(self) -> None:
        """One of the few."""
        self._more(self.rng.choice([uuid for uuid in self._quantities if uuid != self._marker]))

    def mark(self) -> Callable[[], bool]:
        """The one order that is changed only here; gives the question whether that has come to production."""
        self._more(self._marker)
        label, wanted = self._quantities[self._marker]
        size = "SELECT [Order Qty] FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ? AND size_label = ?"

        def settled() -> bool:
            with self.parts.db.read() as session:
                found = session.value(size, (self._marker, label))
            return found is not None and int(str(found)) == wanted

        return settled

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Edits go on meanwhile, in a thread."""
        done, failure = threading.Event(), []

        def change() -> None:
            try:
                while not done.wait(EDIT_EVERY):
                    self.edit()
            except BaseException as error:  # Raised again below, where somebody hears it.
                failure.append(error)

        thread = threading.Thread(target=change, name="source")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if failure:
            raise failure[0]

    def _more(self, uuid: str) -> None:
        label, quantity = self._quantities[uuid]
        self._quantities[uuid] = (label, quantity + 1)
        self.told[uuid, label].append(str(quantity + 1))
        update = f"UPDATE ORDERS_UNIFIED SET {identifiers.quote(label)} = ? WHERE record_uuid = ?"
        with self.parts.db.write() as session:
            session.execute(update, (quantity + 1, uuid))
        self.edits += 1


@dataclass
class Scene:
    """What is noted: `figures` for the line that is printed, `wrong` for what should not have been."""

    stage: Stage
    source: Source
    rng: random.Random
    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    # Kafka has lost events: by a wipe, with a topic, or by offsets that lie ahead. The sweep has to find them.
    lossy: bool = False
    # The last of these: the events themselves are still in the log.
    skipped: bool = False
    _lines: Counter[str] = field(default_factory=Counter)
    _restarts: int = 0

    def begins(self) -> None:
        """All is well now: what the logs say from here on tells of the trouble."""
        self._lines = Counter({name: len(self.stage.log(name).splitlines()) for name in self.stage.services})
        self._restarts = sum(service.restarts for service in self.stage.services.values())

    def lasts(self, seconds: float, *, said_within: float = SAID_WITHIN) -> None:
        """Lets it last, and looks whether /live and `ordersync status` say so, each process in one line.

        A trouble that is over sooner than `said_within` need not be told of.
        """
        began, said = time.monotonic(), dict[str, float]()
        asked = seconds < said_within
        while (now := time.monotonic() - began) < seconds:
            for name in self.stage.services.keys() - said.keys():
                if AWAY in self._told(name):
                    said[name] = now
            if not asked and len(said) == len(self.stage.services):
                asked = True
                self._status_says()
            time.sleep(LOOK)
        if seconds >= said_within:
            late = {name: said.get(name) for name in self.stage.services if said.get(name, seconds) > said_within}
            self.wrong += [f"{name} did not say so within {said_within:g} s, but {at}" for name, at in late.items()]
        if said:
            self.most("said_s", max(said.values()))

    def goes_on(self, back: datetime) -> None:
        """Waits until an edit of this moment has arrived; notes how long that took since `back`, in UTC."""
        self.until(self.source.mark(), "an edit that was made when it was over arrives")
        settled = (utcnow() - back).total_seconds()
        write = self._first_write(back)
        self.most("goes_on_s", settled)
        self.most("write_s", write)
        if max(settled, write) > GOES_ON_WITHIN:
            self.wrong.append(f"work went on after {write:.1f} s, and an edit arrived after {settled:.1f} s")

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits for it. Raises TimeoutError, and the scenario is over."""
        deadline = time.monotonic() + GIVE_UP
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {GIVE_UP:g} s: {what}")
            time.sleep(LOOK / 5)

    def most(self, name: str, seconds: float) -> None:
        """Keeps the largest of several."""
        before = self.figures.get(name, 0.0)
        self.figures[name] = max(seconds, before if isinstance(before, float) else 0.0)

    def was_quiet(self, times: int = 1) -> None:
        """Few lines of log, for so many troubles one after the other."""
        said = {name: len(self.stage.log(name).splitlines()) - self._lines[name] for name in self.stage.services}
        self.figures |= {"lines": "/".join(str(n) for n in said.values())}
        self.figures["restarts"] = sum(one.restarts for one in self.stage.services.values()) - self._restarts
        self.wrong += [f"{name} wrote {n} lines of log" for name, n in said.items() if n > LINES * times]

    def proves(self) -> None:
        """Everything is at rest, and all that the oracle asks for holds, as after a schedule; nobody despaired."""
        log = oracle.Log(self.stage.parts.bootstrap, self.stage.parts.settings.group)
        if story := rest.settle(self.stage, log, utcnow(), within=demo.SETTLE_WITHIN):
            raise TimeoutError(f"not at rest within {demo.SETTLE_WITHIN:g} s: {'; '.join(story)}")
        found = oracle.look(self.stage, log, self.source.said, wiped=self.lossy, skipped=self.skipped)
        for name, some in found.wrong.items():
            self.wrong += [f"{name}: {said}" for said in some[:SHOWN]] + [f"{name}: and more"] * (len(some) > SHOWN)
        cries = [name for name in self.stage.services if "Traceback" in self.stage.log(name)]
        self.wrong += [f"{name} printed a traceback" for name in cries]
        self.figures |= {name: len(some) for name, some in found.wrong.items()}
        self.figures |= {"edits": self.source.edits, "swept": self.stage.parts.state.get(lost_events.FOUND) or 0}

    def _told(self, name: str) -> str:
        """What this process says of itself: a worker on /live, the poller in SQL alone."""
        told = self.stage.parts.state.get(f"{heartbeat.FAMILY}.{name}")
        if told is None:
            return ""
        if not told["address"]:
            return json.dumps(told["holding"])
        try:
            with urllib.request.urlopen(told["address"].replace("/health", "/live"), timeout=5) as page:
                return json.dumps(json.load(page)["holding"])
        except urllib.error.HTTPError:
            raise
        except OSError:  # It is being started.
            return ""

    def _status_says(self) -> None:
        settings = self.stage.parts.settings
        command = [sys.executable, "-m", "streams", "--home", str(settings.home), "status"]
        command[-1:-1] = ["--database", settings.database]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
        said = [line for line in shown.splitlines() if f"{heartbeat.BROKER}: {AWAY}" in line]
        if len(said) != len(self.stage.services):
            self.wrong.append(f"`ordersync status` did not say so in one line for each process, but: {said}")

    def _first_write(self, since: datetime) -> float:
        """Seconds from then to the next confirmed write; both clocks are this machine's."""
        with self.stage.parts.db.read() as session:
            at = session.value(
                "SELECT MIN(finished_at) FROM SYNC_Requests WHERE first_sent_at > ?", (database.to_db_time(since),)
            )
        return (database.from_db_time(str(at)) - since).total_seconds()
