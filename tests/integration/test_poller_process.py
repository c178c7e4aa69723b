"""A real poller in a process of its own, on the real broker."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors import processes
from tests.integration.test_worker_process import ROOT, plant_in

# Its first pass hangs: in a database that is locked, or in a send to a broker that does not answer.
HANGS = """
import time
from streams import settings
from streams.runtime import passes, poller
def hang(*_):
    print("hangs", flush=True)
    time.sleep(600)
passes.one_pass = hang
poller.poll(settings.load(), 1.0)
"""


def test_a_poller_that_hangs_ends_when_it_is_told_to(tmp_path: Path, broker: str, until: Callable[..., Any]) -> None:
    with plant_in(tmp_path, broker, until) as plant:
        log = plant.log("poller")
        poller = processes.Child([sys.executable, "-c", HANGS], log=log, environment=plant.environment(), folder=ROOT)
        plant.workers.append(poller)
        until(lambda: "hangs" in log.read_text() or not poller.running, "it hangs in its first pass")
        began = time.monotonic()
        poller.signal(signal.SIGTERM)
        assert poller.wait(60) == 0, log.read_text()
        print(f"SIGTERM to the end of a poller that hangs: {time.monotonic() - began:.1f} s")
        assert "the stop took too long" in log.read_text()
