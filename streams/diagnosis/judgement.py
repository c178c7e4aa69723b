"""The one judgement whether the service is well: a pure function from evidence to troubles, shown everywhere."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from connectors import errors
from connectors.monday import api_version
from schemas import workers
from schemas.mappings import MappingError
from streams import topics
from streams.detect import plans
from streams.diagnosis import evidence as known
from streams.diagnosis import heartbeat
from streams.diagnosis.troubles import Diagnosis, Part, Severity, Trouble, diagnosis
from streams.sync import room

# Seconds beyond the poller's pause within which a pass ends.
PASS_WITHIN = 300.0
# A silent worker beside others that work: after this time it counts as removed.
REMOVED_AFTER = timedelta(days=1)

START = "`ordersync run` starts poller and worker"
GOES_ON = "the service goes on by itself then"
CHECK = f"`ordersync validate` names what is wrong; {GOES_ON}"
ACTIONS = {
    heartbeat.BROKER: (
        f"start the broker, or correct KAFKA_BOOTSTRAP_SERVERS; `ordersync run` starts an embedded one; {GOES_ON}"
    ),
    heartbeat.API: f"check this network and status.monday.com; `ordersync validate` asks the API; {GOES_ON}",
    room.ROOM: f"remove items from the board or raise its limit; `ordersync board` lists the groups; {GOES_ON}",
}
PART_OF = {
    heartbeat.BROKER: Part.BROKER,
    heartbeat.API: Part.BOARD,
    room.ROOM: Part.BOARD,
    topics.STAGED.name: Part.BOARD,
}
LISTS = {
    known.VERIFIED: ("orders are wrong in the tables", "`ordersync verify` lists them, `ordersync verify --fix`"),
    known.AUDITED: (
        "orders or groups are wrong on the board",
        "`ordersync verify --board` lists them, `ordersync verify --board --fix`",
    ),
}


def judge(evidence: known.Evidence) -> Diagnosis:
    """The diagnosis of the service by this evidence."""
    found = [
        *_poller(evidence),
        *_workers(evidence),
        *_paused(evidence),
        *_waiting_for_an_operator(evidence),
        *_failures(evidence),
        *_notes(evidence),
    ]
    return diagnosis(evidence.at, found, evidence.failures)


def unreadable(error: Exception, at: datetime, processes: Iterable[workers.WorkerState] = ()) -> Diagnosis:
    """The diagnosis when the evidence cannot be read: why, and what the given processes say of themselves."""
    own = known.Evidence(at=at, processes=tuple(processes))
    return diagnosis(at, [of_error(error), *_paused(own)])


def of_error(error: Exception) -> Trouble:
    """The trouble behind an error of the database or of the settings; TimeoutError: the database did not answer."""
    if isinstance(error, TimeoutError):
        reason = "it does not answer: it hangs, or another program has locked it"
        return _down(Part.DATABASE, reason, f"check the database; {GOES_ON}")
    text = str(error)
    if isinstance(error, MappingError):
        return _person(Part.SETTINGS, text, "correct the mapping; `ordersync validate` checks it")
    if isinstance(error, errors.Misconfigured):
        if error.code == "SCHEMA":
            return _person(Part.SETUP, text, "`ordersync setup` creates what is missing")
        return _person(Part.DATABASE, text, "correct it; `ordersync validate` checks it")
    return _down(Part.DATABASE, text, f"check the database; {GOES_ON}")


def _poller(evidence: known.Evidence) -> Iterator[Trouble]:
    running = [state for state in evidence.processes if state.role == heartbeat.POLLER and not state.stopped]
    newest = max(running, key=lambda state: state.at, default=None)
    if newest is None:
        yield _down(Part.POLLER, "no poller runs: changes are not detected", START)
    elif newest.silent(evidence.at):
        yield _down(Part.POLLER, f"no heartbeat since {_time(newest.at)}: changes are not detected", START)
    else:
        began = max(filter(None, (newest.since, evidence.last_pass)), default=newest.at)
        late = (evidence.at - began).total_seconds()
        if late > newest.every + PASS_WITHIN:
            reason = f"no pass has ended for {late:.0f} s (the first pass over a large table takes long)"
            yield _down(Part.POLLER, reason, "see its log, logs/poller.log in the home folder; restart it if it hangs")
    if evidence.failed_pass is not None:
        failed = evidence.failed_pass
        action = (
            f"the poller repeats it; {CHECK}" if failed.known else "see its log, logs/poller.log in the home folder"
        )
        yield _down(Part.POLLER, f"the pass of {_time(failed.at)} failed: {failed.reason}", action)


def _workers(evidence: known.Evidence) -> Iterator[Trouble]:
    running = [state for state in evidence.processes if state.role == heartbeat.WORKER and not state.stopped]
    silent = [state for state in running if state.silent(evidence.at)]
    if len(silent) < len(running):
        for state in silent:
            if evidence.at - state.at < REMOVED_AFTER:
                action = (
                    f"`ORDERSYNC_WORKER={state.name} ordersync work` starts it; a worker that was removed counts for "
                    "one more day"
                )
                yield _down(Part.WORKER, f"no heartbeat from {state.name} since {_time(state.at)}", action)
    elif silent:
        last = max(silent, key=lambda state: state.at)
        yield _down(Part.WORKER, f"no heartbeat from {last.name} since {_time(last.at)}: nothing is written", START)
    else:
        yield _down(Part.WORKER, "no worker runs: nothing is written to the board", START)


def _paused(evidence: known.Evidence) -> Iterator[Trouble]:
    """What the processes that run say of themselves. The broker and the API are said once, not by each of them."""
    said: set[str] = set()
    for state in evidence.processes:
        if state.stopped or state.silent(evidence.at):
            continue
        for name in state.trouble:
            if name in ACTIONS and name in said:
                continue
            said.add(name)
            reason = state.holding.get(name, "it does not say why")
            if name not in ACTIONS:
                reason = f"{state.name} has paused {name}: {reason}"
            part = PART_OF.get(name, Part.WORKER if state.role == heartbeat.WORKER else Part.POLLER)
            make = _person if name in state.asks else _down
            yield make(part, reason, ACTIONS.get(name, CHECK))


def _waiting_for_an_operator(evidence: known.Evidence) -> Iterator[Trouble]:
    if evidence.held is not None:
        yield _person(Part.GUARD, evidence.held, plans.way_out(evidence.plan))
    for name, wrong in evidence.wrong.items():
        if wrong:
            subject, action = LISTS[name]
            yield _person(Part.VERIFY, f"{wrong} {subject}", f"{action} repairs them")
    for name, one in evidence.asked.items():
        yield Trouble(severity=Severity(one.severity), part=name, reason=one.reason, action=one.action)


def _failures(evidence: known.Evidence) -> Iterator[Trouble]:
    for code, number in sorted(evidence.failures.items()):
        action = "`ordersync errors` lists them and says what to do"
        yield Trouble(severity=Severity.FAILURES, part=Part.ORDERS, reason=f"{number} × {code}", action=action)
    if evidence.retries_paused is not None:
        action = "`ordersync errors` lists them; `ordersync retry --all` retries them at once"
        yield Trouble(severity=Severity.FAILURES, part=Part.ORDERS, reason=evidence.retries_paused, action=action)


def _notes(evidence: known.Evidence) -> Iterator[Trouble]:
    warning = api_version.support(evidence.at.date()).warning
    if warning is not None:
        reason, _, action = warning.rpartition(": ")
        yield Trouble(severity=Severity.NOTE, part=Part.BOARD, reason=reason, action=action)


def _down(part: Part, reason: str, action: str) -> Trouble:
    return Trouble(severity=Severity.DOWN, part=part, reason=reason, action=action)


def _person(part: Part, reason: str, action: str) -> Trouble:
    return Trouble(severity=Severity.PERSON, part=part, reason=reason, action=action)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
