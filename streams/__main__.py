"""`python -m streams` is `ordersync`. The supervisor starts its processes this way."""

import gc
import importlib
import sys

from connectors import processes

# Loading modules creates no garbage, but collection during the imports takes a sixth of the start time, and the restart
# of a killed worker must be fast.
gc.disable()

from streams.cli import main as cli  # noqa: E402


def main() -> None:
    """Runs the command line. A standby waits here, with all modules of a worker loaded, until the worker ends."""
    if "work" in sys.argv:
        # The command line imports the modules of a command only when it runs the command.
        importlib.import_module("streams.commands.service")
    gc.freeze()
    gc.enable()
    processes.stand_by()
    cli.main()


if __name__ == "__main__":
    main()
