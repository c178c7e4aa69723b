"""python -m tests.chaos.drill --only failures: from failure back to true, on real processes, a line each."""

import argparse
import logging
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.drill import again, back, failures, hands, lost
from tests.chaos.real.outcome import Outcome, Scenario

DRILLS: dict[str, Scenario] = {
    "failures": failures.failures,
    "kafka-lost": lost.kafka_lost,
    "hand-edits": hands.hand_edits,
    "rollback": back.rollback,
    "replay-twice": again.replay_twice,
}


def play(name: str, seed: int) -> bool:
    """Plays one in an empty folder, and prints its line; whether all was as it should be. Keeps the logs if not."""
    folder = Path(tempfile.mkdtemp(prefix=f"drill-{name}-"))
    began = time.monotonic()
    try:
        outcome = DRILLS[name](folder, seed)
    except Exception:
        outcome = Outcome(ok=False, wrong=[traceback.format_exc()])
    outcome.figures["seconds"] = time.monotonic() - began
    # As a scenario of `make chaos`, under the name of its own kind.
    print(f"drill={outcome.line(name).removeprefix('scenario=')}", flush=True)
    if outcome.ok:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(*outcome.wrong, f"its folder is kept: {folder}", sep="\n", flush=True)
    return outcome.ok


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.drill", description=__doc__)
    parser.add_argument("--only", choices=DRILLS, help="play this one alone")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(given)
    logging.basicConfig(level=logging.CRITICAL)
    results = [play(name, told.seed) for name in ([told.only] if told.only else DRILLS)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
