"""The limits of a token and a plan, and the allowances that the API states in its headers.

The figures are the published limits as of 2026-10. The weight of a mutation is a field report: it is the first
estimate, and budget.py measures it from the first answer on.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import model_validator

from schemas import base


class Token(StrEnum):
    """The kind of token. The personal token of a trial, free or NGO account has the smallest budget."""

    PERSONAL = "personal"
    APP = "app"
    TRIAL = "trial"


class Plan(StrEnum):
    """The plan of the account. `standard` includes free and basic."""

    STANDARD = "standard"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Limits(base.Model):
    """The limits of one token, complexity in points. A minute lasts `minute_seconds`, so that a test can scale it."""

    complexity_per_minute: int
    complexity_per_request: int = 5_000_000
    # An app's token has one budget for reads and one of the same size for writes.
    reads_apart: bool
    requests_per_minute: int
    concurrency: int
    calls_per_day: int
    mutation_weight: int = 30_000
    minute_seconds: float = 60.0
    # Writes end at this share before the day's last call, so that reads can still resolve open requests.
    daily_reserve: float = 0.02
    # The API advises one write after the other: simultaneous writes on a board can corrupt data.
    writers: int = 1
    readers: int = 4

    @model_validator(mode="after")
    def _fits(self) -> "Limits":
        if self.writers + self.readers > self.concurrency:
            raise ValueError(f"{self.writers} writers and {self.readers} readers exceed {self.concurrency}")
        return self


_PLANS: dict[Plan, dict[str, int]] = {
    Plan.STANDARD: {"requests_per_minute": 1_000, "concurrency": 40, "calls_per_day": 1_000},
    Plan.PRO: {"requests_per_minute": 2_500, "concurrency": 100, "calls_per_day": 10_000},
    Plan.ENTERPRISE: {"requests_per_minute": 5_000, "concurrency": 250, "calls_per_day": 25_000},
}
_TOKENS: dict[Token, dict[str, Any]] = {
    Token.PERSONAL: {"complexity_per_minute": 10_000_000, "reads_apart": False},
    Token.APP: {"complexity_per_minute": 5_000_000, "reads_apart": True},
    Token.TRIAL: {"complexity_per_minute": 1_000_000, "reads_apart": False},
}


def preset(token: str, plan: str, **overrides: Any) -> Limits:
    """The published limits of a token on a plan, with overrides of any field of Limits. Raises ValueError."""
    return Limits(**{**_TOKENS[Token(token)], **_PLANS[Plan(plan)], **overrides})


class Allowance(base.Model):
    """One limit as the headers state it: `quota` a minute, `left` now, seconds until it resets."""

    quota: float | None = None
    left: float | None = None
    resets_in: float | None = None


def read_headers(headers: Mapping[str, str]) -> dict[str, Allowance]:
    """Parse RateLimit-Policy and RateLimit (lower-case names) into an allowance per policy.

    Items look like `"minuteRate";q=5000;w=60` and `"complexityMinute";r=4950000;t=45`. An unreadable
    part is ignored: a header is advice, never a reason to fail.
    """
    stated: dict[str, dict[str, float]] = {}
    for header, fields in (
        ("ratelimit-policy", {"q": "quota"}),
        ("ratelimit", {"r": "left", "t": "resets_in"}),
    ):
        for name, parameters in re.findall(r'"([^"]+)"((?:\s*;[^,]*)?)', headers.get(header, "")):
            for key, number in re.findall(r";\s*([a-z]+)=(\d+(?:\.\d+)?)", parameters):
                if key in fields:
                    stated.setdefault(name, {})[fields[key]] = float(number)
    return {name: Allowance(**values) for name, values in stated.items()}
