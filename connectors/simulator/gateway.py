"""The gateway between client and API: it passes answers on, and may give up before the API has ended a request.

Each request runs in a task of its own. So the API goes on when the gateway gave up, when the client is gone, and when
the HTTP server cancels the handler of the connection.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from connectors.simulator import answers, clock, faults

T = TypeVar("T")


class Gateway:
    """Keeps the tasks of all requests that run."""

    def __init__(self, time: clock.Clock) -> None:
        self._clock = time
        self._tasks: set[asyncio.Task[Any]] = set()

    async def pass_on(self, work: Coroutine[Any, Any, answers.Answer], rule: faults.Rule | None) -> answers.Answer:
        """The answer of `work`; or the gateway's own, if `work` runs longer than the `seconds` of the rule."""
        request = self._start(work)
        if rule is None:
            return await asyncio.shield(request)
        patience = self._start(self._clock.sleep(rule.seconds))
        try:
            # Unlike wait_for, this cancels neither of them.
            await asyncio.wait({request, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        if request.done():
            return request.result()
        return answers.cut() if rule.cut else answers.gateway(rule.status or 502)

    async def rest(self) -> None:
        """Wait until no request runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel the requests that still run, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        # The loop itself keeps only a weak reference to a task.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
