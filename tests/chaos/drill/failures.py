"""Drill `failures`: orders fail in many ways for an hour of scaled time, and the sums are right at every moment."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.batches import SyncState
from streams.commands import failures as failures_command
from streams.reconcile import verify
from tests.chaos import judge
from tests.chaos.drill import stand, ways
from tests.chaos.drill.source import Source
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real.outcome import Outcome

ORDERS = 700
ASKED = 100
# Of these so many are asked as a command, and every so many-th of the others looks thoroughly.
AS_COMMAND, THOROUGH = 20, 5
# Of all orders about one in twenty fails, all ways together: the others go their way among them.
SHARE = (0.04, 0.08)
IDENTITY = ("NO_IDENTITY", "DUPLICATE_IDENTITY")
FAILURES = (
    "SELECT record_uuid, version, error_code, error_message, retryable, resolved_date, resolution FROM"
    " ERR_MON_CustMasterSchedule UNION ALL SELECT record_uuid, version, error_code, error_message, retryable,"
    " resolved_date, resolution FROM ERR_MON_CustMasterSchedule_Subitems"
)


@dataclass
class Questions:
    """verify, asked again and again while everything moves."""

    at: stand.Stand
    source: Source
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def ask(self) -> None:
        """Once, in one way or another."""
        self.asked += 1
        began = time.monotonic()
        if self.asked % AS_COMMAND == 0:
            rows = self.source.rows_while(self._command)
        else:
            rows = self.source.rows_while(self._module)
        self.seconds.append(time.monotonic() - began)
        seen = self._seen
        sums = Counter[str]()
        for states in seen["customers"].values():
            sums.update(states)
        if sums.total() != seen["source_rows"] or seen["source_rows"] not in rows:
            self.wrong.append(f"{dict(sums)} of {seen['source_rows']} rows, and the source had {sorted(rows)}")
        self.wrong += [f"asked for the {self.asked}th time: {said}" for said in seen["wrong"]]

    def _module(self) -> None:
        found: verify.TablesReport = self.at.parts.verifier().check(thorough=self.asked % THOROUGH == 0)
        self._seen: dict[str, Any] = found.model_dump(mode="json")

    def _command(self) -> None:
        self._seen = self.at.as_json("verify")


def failures(folder: Path, seed: int) -> Outcome:
    """Then the rest is mended at the source, or tried again by a person, and all is equal."""
    told = {"orders": ORDERS, "minute": ways.MINUTE, **ways.SCALED}
    with stand.stand(folder, seed, **told) as at:
        at.settles()
        source = Source.of(at.parts, orders=ORDERS, seed=seed, hour=ways.HOUR)
        questions = _hour(at, source)
        at.until(lambda: not _open(at, retryable=True), "all that may be tried again has arrived")
        at.settles()
        _tell(at, source, questions)
        _rest_waits(at, source)
        _way_back(at, source)
    return at.outcome


def _hour(at: stand.Stand, source: Source) -> Questions:
    """The source changes, the API has its weather, and somebody asks."""
    questions, began, before = Questions(at, source), time.monotonic(), None
    with source.changing() as over:
        while not over.wait(stand.LOOK) and (time.monotonic() - began < ways.HOUR or questions.asked < ASKED):
            elapsed = time.monotonic() - began
            if (now := ways.weather(elapsed)) is not before:
                at.trouble(ways.RULES[now])
                before = now
            if questions.asked < ASKED and elapsed >= questions.asked * ways.HOUR / ASKED:
                questions.ask()
    at.trouble(())
    return questions


def _open(at: stand.Stand, *, retryable: bool) -> list[dict[str, Any]]:
    return [row for row in _failures(at) if row["resolved_date"] is None and bool(row["retryable"]) is retryable]


def _failures(at: stand.Stand) -> list[dict[str, Any]]:
    with at.parts.db.read() as session:
        return session.query(FAILURES)


def _tell(at: stand.Stand, source: Source, questions: Questions) -> None:
    rows, fired = _failures(at), Counter(at.stage.stats()["faults_fired"])
    ways_met = Counter(one.way for one in source.bad)
    ways_met.update({way: sum(row["error_code"] == code for row in rows) for way, code in ways.REFUSED.items()})
    requests = {way: sum(fired[kind] for kind in kinds) for way, kinds in ways.PASSING.items()}
    retried = [row for row in rows if row["retryable"]]
    failed = {row["record_uuid"] or row["error_message"] for row in rows}
    orders = ORDERS + source.done["came"]
    at.figures = {
        "orders": orders,
        "changes": source.done.total(),
        "failed": len(failed),
        "share": f"{len(failed) / orders:.1%}",
        **{f"by_{way}": n for way, n in ways_met.items()},
        **{f"requests_{way}": n for way, n in requests.items()},
        "retried": len(retried),
        "arrived": sum(row["resolution"] == "RESOLVED" for row in retried),
        "overtaken": sum(row["resolution"] == "SUPERSEDED" for row in retried),
        "waiting": len(_open(at, retryable=False)),
        "verify_asked": questions.asked,
        "verify_wrong": len(questions.wrong),
        "verify_max_s": max(questions.seconds),
    }
    at.wrong += questions.wrong
    at.wrong += [f"nothing failed by {way}, so nothing is shown" for way in (*ways.AT_THE_SOURCE, *ways.REFUSED)
                 if not ways_met[way]]  # fmt: skip
    at.wrong += [f"no request met {way}, so nothing is shown" for way, n in requests.items() if not n]
    if not retried:
        at.wrong.append("nothing was retried, so nothing is shown")
    least, most = (share * orders for share in SHARE)
    if not least <= len(failed) <= most:
        at.wrong.append(f"{len(failed)} of {orders} orders failed, not {least:.0f} to {most:.0f}")


def _rest_waits(at: stand.Stand, source: Source) -> None:
    """Every failure that is left is one of ours, and says what to do; whatever else is there is equal."""
    listed = at.as_json("errors")
    expected = {one.uuid for one in source.bad if not one.mended and one.way != ways.NO_IDENTITY}
    told = {row["record_uuid"] for row in listed}
    at.wrong += [f"{uuid} is bad at the source, and no failure says so" for uuid in expected - told]
    nobodys = sum(not one.mended for one in source.bad if one.way == ways.NO_IDENTITY)
    if (found := sum(row["error_code"] == "NO_IDENTITY" for row in listed)) != nobodys:
        at.wrong.append(f"{found} failures tell of the {nobodys} rows without an identity")
    for row in listed:
        known = row["record_uuid"] in expected or row["error_code"] in (*ways.REFUSED.values(), *IDENTITY)
        said = f"{row['record_uuid']} {row['error_code']}: {row['error_message']}; next: {row['next']}"
        if not known:
            at.wrong.append(f"nobody made this one fail: {said}")
        waits = "waits for an operator" in row["next"] or row["error_code"] in IDENTITY
        if not (waits and row["error_message"]) or failures_command.NOTHING_KNOWN in row["next"]:
            at.wrong.append(f"a person is not told what to do: {said}")
    log = oracle.Log(at.parts.bootstrap, at.parts.settings.group)
    log.read()
    found_wrong = judge.judge(at.parts.db, at.stage.ask("board"), at.parts.mappings, emitted=log.emitted)
    at.wrong += [f"while some wait: {said}" for some in found_wrong.wrong.values() for said in some]


def _way_back(at: stand.Stand, source: Source) -> None:
    """Rows are mended where they are bad, and a person tries the others again."""
    for one in source.bad:
        if not one.mended:
            source.mend(one)
    at.settles()
    at.ordersync("retry", "--all")
    at.settles()
    at.wrong += [f"still open: {row}" for retryable in (True, False) for row in _open(at, retryable=retryable)]
    seen = at.parts.verifier().check(thorough=True)
    at.wrong += [str(one) for one in seen.wrong]
    if left := seen.total[SyncState.FAILED] + seen.total[SyncState.WAITING]:
        at.wrong.append(f"{left} orders are not in sync in the end")
    at.proves()
