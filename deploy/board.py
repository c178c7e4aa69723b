"""The bundled board in a container: the simulator, reachable from the other containers."""

import asyncio

from connectors.simulator import __main__ as simulator

told = simulator.arguments()
asyncio.run(simulator.run(simulator.settings(told).model_copy(update={"host": "0.0.0.0"}), with_parent=False))
