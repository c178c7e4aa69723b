"""Everything that can be set about the simulator, with the API's published limits as defaults."""

from pathlib import Path

from pydantic import Field

from connectors.simulator import faults
from schemas import base

# The token of the bundled board.
TOKEN = "simulator"


class Config(base.Model):
    """How strict, how slow and how unlucky the simulator is. Times are seconds unless named otherwise."""

    state: Path
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0)
    board_id: int = 9200517329
    subitem_board_id: int = 9200771505
    # None accepts every token that is not empty.
    token: str | None = None

    # The length of the API's minute. Everything it measures in minutes shrinks with it.
    minute: float = Field(default=60.0, gt=0)
    complexity_per_minute: int = Field(default=10_000_000, gt=0)
    complexity_per_request: int = Field(default=5_000_000, gt=0)
    mutation_cost: int = Field(default=30_000, ge=0)
    # "Failed queries cost much less" (changelog); how much less is not published.
    failed_mutation_cost: int = Field(default=3_000, ge=0)
    requests_per_minute: int = Field(default=1_000, gt=0)
    concurrency: int = Field(default=40, gt=0)
    calls_per_day: int = Field(default=10_000, gt=0)

    items_limit: int = Field(default=100_000, gt=0)
    # 40 is documented; of dropdowns 1,000 are said to fit, and 500 is where the team was stopped.
    status_labels: int = Field(default=40, gt=0)
    dropdown_labels: int = Field(default=500, gt=0)

    # Answers larger than this are not remembered under their key.
    remembered_bytes: int = Field(default=1_000_000, gt=0)

    latency: float = Field(default=0.02, ge=0)
    latency_per_mutation: float = Field(default=0.0, ge=0)
    # Items younger than this are not yet found by pages and searches; by id they are always found.
    lookup_lag: float = Field(default=0.0, ge=0)

    seed: int = 1
    fault_rules: tuple[faults.Rule, ...] = ()

    @property
    def key_lifetime(self) -> float:
        """An idempotency key is remembered for 30 minutes."""
        return 30 * self.minute

    @property
    def cursor_lifetime(self) -> float:
        """A cursor dies 60 minutes after the first page."""
        return 60 * self.minute
