"""python -m tests.chaos.real.process: what `python -m streams` does, in a process that can be struck.

CHAOS_PROCESS is its name and CHAOS_STRIKES the folder of its strikes (points.py); CHAOS_PLANT names the bug of
tests.chaos.planted that it has, if any.
"""

import contextlib
import os
from pathlib import Path

from streams import __main__ as ordersync
from tests.chaos.real import points


def main() -> None:
    with contextlib.ExitStack() as stack:
        if bug := os.environ["CHAOS_PLANT"]:
            # Imported by those processes alone that need it.
            from tests.chaos import planted  # noqa: PLC0415

            stack.enter_context(planted.PLANTS[bug].planted())
        name = os.environ["CHAOS_PROCESS"]
        lease = Path(os.environ["ORDERSYNC_HOME"]) / "locks" / f"{name}.lease"
        points.patch(Path(os.environ["CHAOS_STRIKES"]), name, lease=lease)
        ordersync.main()


if __name__ == "__main__":
    main()
