"""Drill `replay-twice`: the whole topic is told again, twice, and the board is only read."""

import math
from pathlib import Path

from streams.reconcile import fields
from tests.chaos.drill import stand
from tests.chaos.real.outcome import Outcome

# None of them fills whole calls, all of them together do.
CUSTOMERS = {"GREYSON CLOTHIERS": 233, "TRACKSMITH": 171, "JOHNNIE O": 199, "MACK WELDON": 98, "RHONE": 99}
EDITED = 60
TIMES = 2
PER_CALL = 100


def replay_twice(folder: Path, seed: int) -> Outcome:
    """Some orders have several versions in the log; the newest of each is told."""
    with stand.stand(folder, seed, prepare=stand.filled(seed, CUSTOMERS)) as at:
        at.settles()
        parts = at.parts
        edited = [fact[0] for fact in at.produced() if fact[2] == fields.NAME and not fact[1]][:EDITED]
        stand.update(parts, edited, "PATTERN ID", "told twice")
        at.settles()
        calls = mutations = items = 0
        most = math.ceil(sum(CUSTOMERS.values()) / PER_CALL)
        for _ in range(TIMES):
            before = at.stage.stats()
            at.ordersync("replay", "--all", "--from-beginning")
            at.until(lambda: not parts.orders.unsettled_mutations(), "the replay is settled")
            after = at.stage.stats()
            read = after["query_requests"] - before["query_requests"]
            if read > most:
                at.wrong.append(f"{read} calls for {sum(CUSTOMERS.values())} orders")
            calls, items = calls + read, items + sum(CUSTOMERS.values())
            mutations += after["mutations"] - before["mutations"]
        if mutations:
            at.wrong.append(f"{mutations} mutations, and nothing had changed")
        if calls < items // PER_CALL:
            at.wrong.append(f"only {calls} calls for {items} items: the board was not read")
        at.figures = {"customers": len(CUSTOMERS), "times": TIMES, "items": items, "calls": calls,
                      "mutations": mutations}  # fmt: skip
        at.proves()
    return at.outcome
