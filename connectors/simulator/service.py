"""Answers one request: token, limits, parse, faults, key, complexity, run, answer.

One event loop runs all requests, and nothing interrupts the code between two awaits: store, limits and counters need
no locks.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable

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
        self._new_id = new_id
        self._keys_in_flight: set[str] = set()

    async def handle(self, call: incoming.Call) -> tuple[answers.Answer, dict[str, str]]:
        """The answer, and the headers that every response carries."""
        request_id = self._new_id()
        headers = {"API-Version": incoming.served(call.version) or incoming.CURRENT}
        try:
            answer = await self._answer(call, request_id)
        except answers.Refused as refused:
            answer = _signed(refused.answer, request_id)
        self.stats.answered(answer)
        headers.update(self.gate.headers())
        if answer.retry_after is not None:
            headers["Retry-After"] = str(answer.retry_after)
        if answer.replayed:
            headers["Idempotency-Replayed"] = "true"
        return answer, headers

    async def _answer(self, call: incoming.Call, request_id: str) -> answers.Answer:
        wanted = self.settings.token
        if not call.token or (wanted is not None and call.token != wanted):
            raise answers.Refused(answers.unauthorized())
        self.gate.enter()
        cheap = False
        try:
            request = incoming.read(call)
            cheap = request.estimate.lone_complexity
            return await self._admitted(request, call, request_id)
        except answers.Refused as refused:
            cheap = cheap or refused.answer.throttled
            raise
        finally:
            if cheap:
                self.gate.was_cheap()
            self.gate.leave()

    async def _admitted(self, request: incoming.Request, call: incoming.Call, request_id: str) -> answers.Answer:
        operation = request.estimate.operation
        struck = self.plan.strike(operation)
        self.stats.parsed(operation, struck)
        if rule := struck.by(Kind.SLOW):
            await self.clock.sleep(rule.seconds)
        if refusal := self._refusal(struck):
            raise answers.Refused(refusal)
        if operation == "query":
            answer = await self._query(request, struck, request_id)
        else:
            answer = await self._mutate(request, call, struck, request_id)
        if struck.by(Kind.ERROR_500_AFTER):
            return _signed(answers.internal(), request_id)
        if struck.by(Kind.BAD_GATEWAY_HTML):
            return answers.bad_gateway()
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
            return answers.legacy_throttle(rule.status, 0, quota, round(rule.seconds) or 1)
        if struck.by(Kind.BOARD_MISSING):
            return answers.board_missing(self.settings.board_id)
        if struck.by(Kind.ERROR_500_BEFORE):
            return answers.internal()
        if (rule := struck.by(Kind.BAD_GATEWAY_HTML)) and not rule.takes_effect():
            return answers.bad_gateway()
        return answers.cut() if struck.by(Kind.RESET) else None

    async def _query(self, request: incoming.Request, struck: faults.Struck, request_id: str) -> answers.Answer:
        if hang := struck.by(Kind.HANG):
            await self.clock.sleep(hang.seconds)
            if not hang.takes_effect():
                return answers.cut()
        charge = self.gate.charge(request.estimate.reading)
        await self.clock.sleep(self.settings.latency)
        reader = views.Reader(self.state, self.settings, self.rules, self.clock.now().timestamp())
        answer = self._run(request, roots.Query(reader, charge), request_id)
        self.gate.settle(charge, reader.cost)
        return answer

    async def _mutate(
        self, request: incoming.Request, call: incoming.Call, struck: faults.Struck, request_id: str
    ) -> answers.Answer:
        if call.key in self._keys_in_flight:
            raise answers.Refused(answers.in_flight(1))
        digest = hashlib.sha256(call.body).hexdigest()
        key = None if struck.by(Kind.DROP_IDEMPOTENCY) else call.key
        if key and (replay := self._replay(key, digest)):
            return replay
        hang = struck.by(Kind.HANG)
        if hang and not hang.takes_effect():
            await self.clock.sleep(hang.seconds)
            return answers.cut()
        if call.key:
            self._keys_in_flight.add(call.key)
        try:
            if hang and hang.late:
                await self.clock.sleep(hang.seconds)
            charge = self.gate.charge(request.estimate.mutations * self.settings.mutation_cost)
            with self.stats.writing():
                pause = self.settings.latency_per_mutation * request.estimate.mutations
                await self.clock.sleep(self.settings.latency + pause)
                answer = self._write(request, charge, struck, request_id, key, digest)
        finally:
            self._keys_in_flight.discard(call.key or "")
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

    def _write(
        self,
        request: incoming.Request,
        charge: limits.Charge,
        struck: faults.Struck,
        request_id: str,
        key: str | None,
        digest: str,
    ) -> answers.Answer:
        """Run the aliases and store the answer under its key, in one commit; without a run alias nothing is stored."""
        now = self.clock.now().timestamp()
        reader = views.Reader(self.state, self.settings, self.rules, now)
        root = roots.Mutation(reader, charge, struck.aliases(request.estimate.mutations), now)
        with self.state.transaction():
            answer = self._run(request, root, request_id)
            text = json.dumps(answer.body, ensure_ascii=False)
            if key and root.tried and len(text.encode()) <= self.settings.remembered_bytes:
                self.state.remember(key, digest, text, now, now + self.settings.key_lifetime)
        failed = root.tried - root.done
        self.gate.settle(charge, root.done * self.settings.mutation_cost + failed * self.settings.failed_mutation_cost)
        self.stats.mutations += root.tried
        self.stats.mutations_done += root.done
        return answer

    def _run(self, request: incoming.Request, root: object, request_id: str) -> answers.Answer:
        result = graph.execute(request.document, request.name, request.variables, root)
        return _signed(graph.to_answer(result), request_id)


def _signed(answer: answers.Answer, request_id: str) -> answers.Answer:
    if not isinstance(answer.body, dict):
        return answer
    return dataclasses.replace(answer, body={**answer.body, "extensions": {"request_id": request_id}})
