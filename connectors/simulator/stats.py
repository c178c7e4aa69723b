"""Counters since the start or the last reset, for tests, benchmarks and the demo."""

import collections
import contextlib
from collections.abc import Iterator
from typing import Any

from connectors.simulator import answers, faults


class Stats:
    """`mutations` counts the aliases that were run, successful or not; requests are HTTP requests."""

    def __init__(self) -> None:
        self._writing = 0
        self.reset()

    def reset(self) -> None:
        """Set every counter to 0, and `max_writes_in_flight` to the writes that run now."""
        self.requests = self.mutation_requests = self.query_requests = 0
        self.mutations = self.mutations_done = 0
        self.throttled = self.replays = self.keys_reused_with_other_body = 0
        # What runs now goes on running.
        self.max_writes_in_flight = self._writing
        self.errors: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()

    def answered(self, answer: answers.Answer) -> None:
        """Count an answer with its error codes."""
        self.requests += 1
        self.throttled += answer.throttled
        self.errors.update(answer.codes)

    def parsed(self, operation: str, struck: faults.Struck) -> None:
        """Count a request that passed token and limits, with the faults that strike it."""
        if operation == "mutation":
            self.mutation_requests += 1
        else:
            self.query_requests += 1
        self.faults.update(kind.value for kind in struck)

    def ran(self, *, done: bool) -> None:
        """Count an alias that was run, successful or not."""
        self.mutations += 1
        self.mutations_done += done

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Count a write while its block, in which the board may change, runs."""
        self._writing += 1
        self.max_writes_in_flight = max(self.max_writes_in_flight, self._writing)
        try:
            yield
        finally:
            self._writing -= 1

    def as_dict(self) -> dict[str, Any]:
        """All counters by name, for JSON."""
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
