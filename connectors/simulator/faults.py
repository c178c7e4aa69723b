"""Seeded faults: rules that decide which requests a fault strikes.

A rule names requests by their ordinal number (`at`, counted from 1 since the rules were set) or by a rate. Seed, rule
and ordinal alone decide whether a rate strikes, so a run is repeatable. Only requests that passed token and limits
count, replays included; mutations and queries count separately.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from schemas import base


class Kind(StrEnum):
    """The kinds of faults."""

    # Refused before any mutation ran.
    UNAUTHORIZED = "unauthorized"
    DAILY_LIMIT = "daily_limit"
    THROTTLE_429 = "throttle_429"
    CONFLICT_409 = "conflict_409"
    LOCKED_423 = "locked_423"
    ERROR_500_BEFORE = "error_500_before"
    LEGACY_ERROR = "legacy_error"
    BOARD_MISSING = "board_missing"
    RESET = "reset"
    # Some aliases have another outcome than the rest.
    THROTTLE_200 = "throttle_200"
    PARTIAL_ALIASES = "partial_aliases"
    NULL_ALIAS = "null_alias"
    # Executed, with a wrong answer or none.
    ERROR_500_AFTER = "error_500_after"
    LOST_RESPONSE = "lost_response"
    BAD_GATEWAY_HTML = "bad_gateway_html"
    HANG = "hang"
    # In addition to any other kind.
    SLOW = "slow"
    SLOW_ALIASES = "slow_aliases"
    GATEWAY_GIVES_UP = "gateway_gives_up"
    DROP_IDEMPOTENCY = "drop_idempotency"


ONLY_MUTATIONS = frozenset(
    {Kind.THROTTLE_200, Kind.PARTIAL_ALIASES, Kind.NULL_ALIAS, Kind.SLOW_ALIASES, Kind.DROP_IDEMPOTENCY}
)
GATEWAY_STATUSES = frozenset({502, 503, 504})


class Rule(base.Model):
    """One kind of fault, and the requests that it strikes.

    `seconds`: the duration of `slow`, of `hang` and of each alias of `slow_aliases`, the wait until `gateway_gives_up`,
    and the wait that `throttle_*`, `conflict_409`, `locked_423` state.
    `executed`: do the mutations of a `bad_gateway_html` (default: no), `hang` or `null_alias` (default: yes) take
    effect? `late`: a `hang` that executes at its end, not at its start. `aliases`: positions (from 0) for
    `throttle_200` (default: all), `partial_aliases` and `null_alias` (default: a seeded `share` of them, at least
    one). `code`: the error code of `partial_aliases` and `throttle_429`. `status`: the HTTP status of `legacy_error`
    (default: 200) and of `gateway_gives_up` (default: 502); `cut`: this gateway ends the connection instead.

    `slow_aliases`: the aliases run one after the other, each with a commit of its own; the key is stored after the last
    one. `gateway_gives_up`: the API runs the request to its end; a request that ends earlier is answered as usual.
    A `drop_idempotency` neither reads nor stores the key. With `while_running`, it does not lock the key either: the
    request runs beside an earlier one of the same key, and later ones run beside it.
    """

    kind: Kind
    at: tuple[int, ...] = ()
    rate: float = Field(default=0.0, ge=0, le=1)
    of: Literal["mutation", "query"] = "mutation"
    seconds: float = Field(default=1.0, ge=0)
    executed: bool | None = None
    late: bool = False
    aliases: tuple[int, ...] | None = None
    share: float = Field(default=0.5, gt=0, le=1)
    code: str | None = None
    status: int | None = None
    cut: bool = False
    while_running: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if bool(self.at) == bool(self.rate):
            raise ValueError(f"{self.kind}: give either `at` or `rate`")
        if self.of == "query" and self.kind in ONLY_MUTATIONS:
            raise ValueError(f"{self.kind} cannot strike a query")
        if self.kind is Kind.SLOW_ALIASES and not self.seconds:
            raise ValueError(f"{self.kind}: `seconds` must be more than 0")
        if self.kind is Kind.GATEWAY_GIVES_UP and self.status not in (None, *GATEWAY_STATUSES):
            raise ValueError(f"{self.kind}: `status` must be one of {sorted(GATEWAY_STATUSES)}")
        return self

    def takes_effect(self) -> bool:
        """Are the mutations executed although this rule strikes?"""
        return self.kind is not Kind.BAD_GATEWAY_HTML if self.executed is None else self.executed

    def chosen(self, count: int, seed: str) -> frozenset[int]:
        """The positions among `count` aliases that this rule strikes."""
        if self.aliases is not None:
            return frozenset(self.aliases)
        if self.kind is Kind.THROTTLE_200:
            return frozenset(range(count))
        size = max(1, round(count * self.share))
        return frozenset(random.Random(seed).sample(range(count), min(size, count)))


Rules = TypeAdapter(tuple[Rule, ...])


class Struck:
    """The rules that strike one request."""

    def __init__(self, rules: Iterable[Rule] = (), seed: str = "") -> None:
        self._rules = {rule.kind: rule for rule in rules}
        self._seed = seed

    def by(self, *kinds: Kind) -> Rule | None:
        """The rule of the first of these kinds that strikes, or None."""
        return next((self._rules[kind] for kind in kinds if kind in self._rules), None)

    def aliases(self, count: int) -> dict[int, Rule]:
        """The rule that strikes each alias, by the position of the alias."""
        return {
            position: rule
            for kind in (Kind.NULL_ALIAS, Kind.PARTIAL_ALIASES, Kind.THROTTLE_200)
            if (rule := self.by(kind))
            for position in rule.chosen(count, f"{self._seed}:{kind}")
        }

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._rules)


class Plan:
    """The current rules, with the ordinals of the requests since they were set."""

    def __init__(self, rules: Sequence[Rule], seed: int) -> None:
        self._rules = rules
        self._seed = seed
        self._ordinals = {"mutation": 0, "query": 0}

    def strike(self, operation: Literal["mutation", "query"]) -> Struck:
        """Count one request and return the rules that strike it. Of two rules of one kind the later one counts."""
        self._ordinals[operation] += 1
        ordinal = self._ordinals[operation]
        hits = [
            rule
            for index, rule in enumerate(self._rules)
            if rule.of == operation and (ordinal in rule.at or self._draw(index, ordinal) < rule.rate)
        ]
        return Struck(hits, seed=f"{self._seed}:{ordinal}")

    def _draw(self, index: int, ordinal: int) -> float:
        return random.Random(f"{self._seed}:{index}:{ordinal}").random()
