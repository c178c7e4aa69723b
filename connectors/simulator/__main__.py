"""python -m connectors.simulator --state FILE: runs the simulator in its own process."""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pydantic

from connectors.simulator import config, faults, server


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or `given`; ends the process on a mistake."""
    parser = argparse.ArgumentParser(prog="python -m connectors.simulator", description=__doc__)
    fields = config.Config.model_fields
    parser.add_argument("--state", type=Path, required=True, help="the SQLite file that is the board")
    parser.add_argument("--board", type=int, default=fields["board_id"].default)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--minute", type=float, default=60.0, help="seconds that the API's minute lasts")
    for name in ("complexity_per_minute", "requests_per_minute", "concurrency", "calls_per_day"):
        parser.add_argument(_flag(name), type=int, default=fields[name].default)
    for name in ("items_limit", "dropdown_labels", "seed"):
        parser.add_argument(_flag(name), type=int, default=fields[name].default)
    parser.add_argument("--token", help="the only token that is accepted; without it, any token is")
    parser.add_argument("--faults", default="[]", help="a JSON list of fault rules, or a file with one")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="of every request")
    parser.add_argument("--latency-per-mutation-ms", type=float, default=0.0, help="of each alias, one after another")
    parser.add_argument("--lookup-lag", type=float, default=0.0, help="seconds until searches return a new item")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args(given)


def settings(options: argparse.Namespace) -> config.Config:
    """The settings of a command line. Raises pydantic.ValidationError, or OSError for a missing file of faults."""
    text = options.faults if options.faults.lstrip().startswith("[") else Path(options.faults).read_text("utf-8")
    same_names = set(config.Config.model_fields) & set(vars(options))
    return config.Config(
        board_id=options.board,
        latency=options.latency_ms / 1000,
        latency_per_mutation=options.latency_per_mutation_ms / 1000,
        fault_rules=faults.Rules.validate_json(text),
        **{name: getattr(options, name) for name in same_names},
    )


async def run(chosen: config.Config, with_parent: bool) -> None:
    """Run until SIGTERM or SIGINT; with_parent: also until standard input ends. Prints URL and pid as JSON."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()
    async with server.Simulator(chosen) as simulator:
        print(json.dumps({"url": simulator.url, "pid": os.getpid()}), flush=True)
        await stop.wait()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # os.read and not sys.stdin: a daemon thread inside a buffered reader can abort the interpreter's exit.
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def main() -> int:
    try:
        options = arguments()
        chosen = settings(options)
    except (pydantic.ValidationError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(run(chosen, options.with_parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
