"""Runs the bundled board in a container: the simulator, open to the other containers."""

import asyncio

from connectors.simulator import __main__ as simulator

settings = simulator.settings(simulator.arguments()).model_copy(update={"host": "0.0.0.0"})
asyncio.run(simulator.run(settings, with_parent=False))
