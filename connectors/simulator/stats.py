"""What happened since the start or the last reset: counters for tests, benchmarks and the demo."""

import collections
import contextlib
from collections.abc import Iterator
from typing import Any

from connectors.simulator import answers, faults


class Stats:
    """`mutations` are aliases that were let through, successful or not; requests are HTTP requests."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests = self.mutation_requests = self.query_requests = 0
        self.mutations = self.mutations_done = 0
        self.throttled = self.replays = self.keys_reused_with_other_body = 0
        self.max_writes_in_flight = 0
        self._writing = 0
        self.errors: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()

    def answered(self, answer: answers.Answer) -> None:
        self.requests += 1
        self.throttled += answer.throttled
        self.errors.update(answer.codes)

    def parsed(self, operation: str, struck: faults.Struck) -> None:
        if operation == "mutation":
            self.mutation_requests += 1
        else:
            self.query_requests += 1
        self.faults.update(kind.value for kind in struck)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around the part of a mutation request in which the board may change."""
        self._writing += 1
        self.max_writes_in_flight = max(self.max_writes_in_flight, self._writing)
        try:
            yield
        finally:
            self._writing -= 1

    def told(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "mutation_requests": self.mutation_requests,
            "query_requests": self.query_requests,
            "mutations": self.mutations,
            "mutations_done": self.mutations_done,
            "throttled": self.throttled,
            "replays": self.replays,
            "keys_reused_with_other_body": self.keys_reused_with_other_body,
            "max_writes_in_flight": self.max_writes_in_flight,
            "errors_by_code": dict(self.errors),
            "faults_fired": dict(self.faults),
        }
