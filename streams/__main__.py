"""`python -m streams` is `ordersync`; so the supervisor starts its processes."""

import gc

from connectors import processes

# Modules are no garbage: to look for some while they are loaded takes a sixth of a start, and a worker that was killed
# has to be back soon.
gc.disable()

from streams.cli import main as cli  # noqa: E402


def main() -> None:
    """The command line, with everything loaded. A standby waits here for its turn."""
    gc.freeze()
    gc.enable()
    processes.stand_by()
    cli.main()


if __name__ == "__main__":
    main()
