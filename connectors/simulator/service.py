"""Answers one request: token, limits, parse, faults, key, complexity, run, answer.

One event loop runs all requests, and nothing interrupts the code between two awaits: store, limits and counters need
no locks. Requests that take time run beside each other; an await stands between two aliases, never inside one.
"""

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from connectors.simulator import (
    answers,
    board,
    clock,
    config,
    faults,
    graph,
    incoming,
    limits,
    roots,
    seed,
    stats,
    store,
    views,
)
from connectors.simulator.faults import Kind

T = TypeVar("T")


class Gateway:
    """Stands between client and API: it passes answers on, and may give up before the API has ended a request.

    Each request runs in a task of its own. So the API goes on when the gateway gave up, when the client is gone, and
    when the HTTP server cancels the handler of the connection.
    """

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


@dataclasses.dataclass(frozen=True)
class Admitted:
    """A request that passed token and limits, with the faults that strike it."""

    id: str
    call: incoming.Call
    request: incoming.Request
    struck: faults.Struck


class Service:
    """The API without HTTP. `new_id` returns a new request id."""

    def __init__(self, settings: config.Config, time: clock.Clock, new_id: Callable[[], str]) -> None:
        self.settings = settings
        self.clock = time
        self.state = store.Store(settings.state)
        seed.seed(self.state, settings)
        self.rules = board.Board(self.state, settings)
        self.gate = limits.Gate(settings, time, self.state)
        self.plan = faults.Plan(settings.fault_rules, settings.seed)
        self.stats = stats.Stats()
        self._gateway = Gateway(time)
        self._new_id = new_id
        self._keys_in_flight: set[str] = set()

    async def handle(self, call: incoming.Call) -> tuple[answers.Answer, dict[str, str]]:
        """The answer, and the headers that every response carries. An admitted request outlives a cancellation."""
        request_id = self._new_id()
        headers = {"API-Version": incoming.served(call.version) or incoming.CURRENT}
        try:
            admitted = self._admit(call, request_id)
        except answers.Refused as refused:
            answer = _signed(refused.answer, request_id)
        else:
            answer = await self._gateway.pass_on(self._answer(admitted), admitted.struck.by(Kind.GATEWAY_GIVES_UP))
        self.stats.answered(answer)
        headers.update(self.gate.headers())
        if answer.retry_after is not None:
            headers["Retry-After"] = str(answer.retry_after)
        if answer.replayed:
            headers["Idempotency-Replayed"] = "true"
        return answer, headers

    async def rest(self) -> None:
        """Wait until every request has ended, also those that the client has no longer a connection for."""
        await self._gateway.rest()

    async def stop(self) -> None:
        """Cancel the requests that still run, and close the store."""
        await self._gateway.stop()
        self.state.close()

    def _admit(self, call: incoming.Call, request_id: str) -> Admitted:
        """Check token and limits, parse, and choose the faults; `_answer` must follow. Raises Refused."""
        wanted = self.settings.token
        if not call.token or (wanted is not None and call.token != wanted):
            raise answers.Refused(answers.unauthorized())
        self.gate.enter()
        try:
            request = incoming.read(call)
        except BaseException:
            self.gate.leave()
            raise
        operation = request.estimate.operation
        struck = self.plan.strike(operation)
        self.stats.parsed(operation, struck)
        return Admitted(request_id, call, request, struck)

    async def _answer(self, admitted: Admitted) -> answers.Answer:
        cheap = admitted.request.estimate.lone_complexity
        try:
            return await self._executed(admitted)
        except answers.Refused as refused:
            cheap = cheap or refused.answer.throttled
            return _signed(refused.answer, admitted.id)
        finally:
            if cheap:
                self.gate.was_cheap()
            self.gate.leave()

    async def _executed(self, admitted: Admitted) -> answers.Answer:
        struck = admitted.struck
        if rule := struck.by(Kind.SLOW):
            await self.clock.sleep(rule.seconds)
        if refusal := self._refusal(struck):
            raise answers.Refused(refusal)
        is_query = admitted.request.estimate.operation == "query"
        answer = await (self._query(admitted) if is_query else self._mutate(admitted))
        if struck.by(Kind.ERROR_500_AFTER):
            return _signed(answers.internal(), admitted.id)
        if struck.by(Kind.BAD_GATEWAY_HTML):
            return answers.gateway()
        return answers.cut() if struck.by(Kind.LOST_RESPONSE) else answer

    def _refusal(self, struck: faults.Struck) -> answers.Answer | None:
        """The answer of a fault that refuses the request before any mutation runs; None without one."""
        if struck.by(Kind.UNAUTHORIZED):
            return answers.unauthorized()
        if struck.by(Kind.DAILY_LIMIT):
            return self.gate.day_exceeded()
        if rule := struck.by(Kind.THROTTLE_429):
            code = rule.code or "COMPLEXITY_BUDGET_EXHAUSTED"
            return answers.throttled(code, "Fault: try again later", round(rule.seconds) or 1)
        if rule := struck.by(Kind.CONFLICT_409):
            return answers.in_flight(round(rule.seconds) or 1)
        if rule := struck.by(Kind.LOCKED_423):
            return answers.locked(round(rule.seconds) or 1)
        if rule := struck.by(Kind.LEGACY_ERROR):
            quota = self.gate.complexity.quota
            return answers.legacy_throttle(rule.status or 200, 0, quota, round(rule.seconds) or 1)
        if struck.by(Kind.BOARD_MISSING):
            return answers.board_missing(self.settings.board_id)
        if struck.by(Kind.ERROR_500_BEFORE):
            return answers.internal()
        if (rule := struck.by(Kind.BAD_GATEWAY_HTML)) and not rule.takes_effect():
            return answers.gateway()
        return answers.cut() if struck.by(Kind.RESET) else None

    async def _query(self, admitted: Admitted) -> answers.Answer:
        request = admitted.request
        if hang := admitted.struck.by(Kind.HANG):
            await self.clock.sleep(hang.seconds)
            if not hang.takes_effect():
                return answers.cut()
        charge = self.gate.charge(request.estimate.reading)
        await self.clock.sleep(self.settings.latency)
        reader = views.Reader(self.state, self.settings, self.rules, self.clock.now().timestamp())
        result = graph.execute(request.document, request.name, request.variables, roots.Query(reader, charge))
        self.gate.settle(charge, reader.cost)
        return _signed(graph.to_answer(result), admitted.id)

    async def _mutate(self, admitted: Admitted) -> answers.Answer:
        call, struck = admitted.call, admitted.struck
        drop = struck.by(Kind.DROP_IDEMPOTENCY)
        locked = None if drop and drop.while_running else call.key
        if locked in self._keys_in_flight:
            raise answers.Refused(answers.in_flight(1))
        key = None if drop else call.key
        if key and (replay := self._replay(key, _digest(call))):
            return replay
        hang = struck.by(Kind.HANG)
        if hang and not hang.takes_effect():
            await self.clock.sleep(hang.seconds)
            return answers.cut()
        if locked:
            self._keys_in_flight.add(locked)
        try:
            if hang and hang.late:
                await self.clock.sleep(hang.seconds)
            charge = self.gate.charge(admitted.request.estimate.mutations * self.settings.mutation_cost)
            with self.stats.writing():
                await self.clock.sleep(self.settings.latency)
                answer = await self._write(admitted, charge, key)
        finally:
            if locked:
                self._keys_in_flight.discard(locked)
        if hang and not hang.late:
            await self.clock.sleep(hang.seconds)
        return answer

    def _replay(self, key: str, digest: str) -> answers.Answer | None:
        remembered = self.state.replay(key, self.clock.now().timestamp())
        if remembered is None:
            return None
        self.stats.replays += 1
        self.stats.keys_reused_with_other_body += remembered[0] != digest
        return answers.Answer(200, json.loads(remembered[1]), replayed=True)

    async def _write(self, admitted: Admitted, charge: limits.Charge, key: str | None) -> answers.Answer:
        """Run the aliases and store the answer under its key: in one commit, or in one after the other."""
        request, struck = admitted.request, admitted.struck
        slow = struck.by(Kind.SLOW_ALIASES)
        pause = (slow.seconds if slow else self.settings.latency_per_mutation) or None
        reader = views.Reader(self.state, self.settings, self.rules, self.clock.now().timestamp())
        chosen = struck.aliases(request.estimate.mutations)
        root = roots.Mutation(reader, charge, chosen, self.stats, self.clock, pause)
        operation = request.document, request.name, request.variables, root
        if pause is None:
            with self.state.transaction():
                answer = _signed(graph.to_answer(graph.execute(*operation)), admitted.id)
                self._remember(admitted.call, key, root, answer)
        else:
            answer = _signed(graph.to_answer(await graph.execute_in_turn(*operation)), admitted.id)
            with self.state.transaction():
                self._remember(admitted.call, key, root, answer)
        failed = root.tried - root.done
        self.gate.settle(charge, root.done * self.settings.mutation_cost + failed * self.settings.failed_mutation_cost)
        return answer

    def _remember(self, call: incoming.Call, key: str | None, root: roots.Mutation, answer: answers.Answer) -> None:
        """Store an answer under its key, unless no alias was run or the answer is too large."""
        text = json.dumps(answer.body, ensure_ascii=False)
        if key and root.tried and len(text.encode()) <= self.settings.remembered_bytes:
            now = self.clock.now().timestamp()
            self.state.remember(key, _digest(call), text, now, now + self.settings.key_lifetime)


def _digest(call: incoming.Call) -> str:
    return hashlib.sha256(call.body).hexdigest()


def _signed(answer: answers.Answer, request_id: str) -> answers.Answer:
    if not isinstance(answer.body, dict):
        return answer
    return dataclasses.replace(answer, body={**answer.body, "extensions": {"request_id": request_id}})
