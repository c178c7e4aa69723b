"""Scenarios of `make chaos`: a gateway gives up on a request, and the API goes on with its mutations.

The case of a first load: one request with creates is answered 502 after half a second while the API still takes its
time for each mutation, with the writer alive or killed. `make chaos SCENARIO=in-flight-1.5` plays one case.
"""

import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import NamedTuple

from connectors.simulator.faults import Kind, Rule, Rules
from streams.demo import stage as demo
from streams.resources import Resources
from streams.sync.in_doubt import API_TIMEOUT
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real.outcome import Outcome, Scenario
from tests.chaos.real.stage import stage

ORDERS = 69
WORKER = "worker-1"
# After the request of the key column, those of a first load make groups, then items, then sizes.
GROUPS, ITEMS, SIZES = 2, 3, 6


class Case(NamedTuple):
    """One case: seconds for each mutation, which request it strikes, and whether the writer is killed meanwhile."""

    alias: float
    request: int
    killed: bool = False


CASES = {
    "in-flight-1.1": Case(1.1, ITEMS),
    "in-flight-1.5": Case(1.5, ITEMS),
    "in-flight-2.2": Case(2.2, ITEMS),
    "in-flight-sizes": Case(1.5, SIZES),
    "in-flight-groups": Case(2.2, GROUPS),
    "in-flight-killed": Case(1.5, ITEMS, killed=True),
    "in-flight-groups-killed": Case(2.2, GROUPS, killed=True),
}


def play(folder: Path, seed: int, *, case: Case, in_flight: float = API_TIMEOUT, orders: int = ORDERS) -> Outcome:
    """Plays one case on a fresh stage. `in_flight`: seconds for which the API may go on."""
    at = (case.request,)
    slow = Rule(kind=Kind.SLOW_ALIASES, at=at, seconds=case.alias)
    rules = (slow, Rule(kind=Kind.GATEWAY_GIVES_UP, at=at, seconds=0.5))

    def prepare(parts: Resources) -> None:
        oracle.watch(parts)
        root = parts.monday_url.rsplit("/", 1)[0]
        asked = urllib.request.Request(f"{root}/admin/faults", data=Rules.dump_json(rules), method="POST")
        urllib.request.urlopen(asked, timeout=10).close()

    with stage(folder, orders=orders, seed=seed, workers=1, prepare=prepare, monday_in_flight=in_flight) as made:
        deadline = time.monotonic() + demo.SETTLE_WITHIN
        while not made.stats()["faults_fired"].get(Kind.GATEWAY_GIVES_UP):
            if time.monotonic() > deadline:
                raise TimeoutError("the gateway never gave up")
            time.sleep(0.05)
        given_up = time.monotonic()
        if case.killed:
            made.kill(WORKER)
        demo.settle(made, on_look=lambda seen: None)
        recovery = time.monotonic() - given_up
        found = oracle.agrees(made, oracle.Log(made.parts.bootstrap, made.parts.settings.group))
        figures = {"alias_s": case.alias, "killed": case.killed, "recovery_s": recovery, "orders": orders}
        figures |= {name: len(wrong) for name, wrong in found.wrong.items()}
        wrong = [f"{name}: {one}" for name, several in found.wrong.items() for one in several]
        return Outcome(not wrong, figures | {"calls": made.stats()["mutation_requests"]}, wrong)


SCENARIOS: dict[str, Scenario] = {name: partial(play, case=case) for name, case in CASES.items()}
