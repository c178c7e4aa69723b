"""Drill `replay-twice`: the whole topic is told again, twice, and the board is only read."""

import math
from pathlib import Path

from streams import facts
from tests.chaos.drill import stand
from tests.chaos.real.outcome import Outcome

# Every customer's orders fill whole calls, so that one call per 100 items is no more than it says.
CUSTOMERS = {"GREYSON CLOTHIERS": 200, "TRACKSMITH": 200, "JOHNNIE O": 200, "MACK WELDON": 100, "RHONE": 100}
EDITED = 60
TIMES = 2
PER_CALL = 100


def replay_twice(folder: Path, seed: int) -> Outcome:
    """Some orders have several versions in the log; the newest of each is told."""
    with stand.stand(folder, seed, prepare=stand.filled(seed, CUSTOMERS)) as at:
        at.settles()
        parts = at.parts
        edited = [fact[0] for fact in at.produced() if fact[2] == facts.NAME and not fact[1]][:EDITED]
        stand.update(parts, edited, "PATTERN ID", "told twice")
        at.settles()
        calls = mutations = items = 0
        for _ in range(TIMES):
            for customer, orders in CUSTOMERS.items():
                before = at.stage.stats()
                at.ordersync("replay", "--customer", customer, "--from-beginning")
                at.until(lambda: not parts.orders.unsettled_mutations(), f"the replay of {customer} is settled")
                after = at.stage.stats()
                read = after["query_requests"] - before["query_requests"]
                if read > math.ceil(orders / PER_CALL):
                    at.wrong.append(f"{read} calls for {orders} orders of {customer}")
                calls, items = calls + read, items + orders
                mutations += after["mutations"] - before["mutations"]
        if mutations:
            at.wrong.append(f"{mutations} mutations, and nothing had changed")
        if calls < items // PER_CALL:
            at.wrong.append(f"only {calls} calls for {items} items: the board was not read")
        at.figures = {"customers": len(CUSTOMERS), "times": TIMES, "items": items, "calls": calls,
                      "mutations": mutations}  # fmt: skip
        at.proves()
    return at.outcome
