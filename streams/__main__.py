"""`python -m streams` is `ordersync`. The supervisor starts its processes this way."""

import gc

from connectors import processes

# Loading modules creates no garbage, but collection during the imports takes a sixth of the start time, and the restart
# of a killed worker must be fast.
gc.disable()

from streams.cli import main as cli  # noqa: E402


def main() -> None:
    """Runs the command line, with all modules loaded. A standby waits here until the worker ends."""
    gc.freeze()
    gc.enable()
    processes.stand_by()
    cli.main()


if __name__ == "__main__":
    main()
