"""Every setting of the simulator, with the API's published limits as defaults."""

from pathlib import Path

from pydantic import Field

from connectors.simulator import faults
from schemas import base

# The token of the bundled board.
TOKEN = "simulator"


class Config(base.Model):
    """Limits, latency and faults of the simulator. Times are in seconds."""

    state: Path
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0)
    board_id: int = 9200517329
    subitem_board_id: int = 9200771505
    # None accepts every token that is not empty.
    token: str | None = None

    # The length of the API's minute. All times that the API measures in minutes scale with it.
    minute: float = Field(default=60.0, gt=0)
    complexity_per_minute: int = Field(default=10_000_000, gt=0)
    complexity_per_request: int = Field(default=5_000_000, gt=0)
    mutation_cost: int = Field(default=30_000, ge=0)
    # "Failed queries cost much less" (changelog); the figure is not published.
    failed_mutation_cost: int = Field(default=3_000, ge=0)
    requests_per_minute: int = Field(default=1_000, gt=0)
    concurrency: int = Field(default=40, gt=0)
    calls_per_day: int = Field(default=10_000, gt=0)

    # Of a board together with its subitem board.
    items_limit: int = Field(default=100_000, gt=0)
    # Whether a write that names our board takes effect on an item of another board; no document says so.
    writes_to_other_boards: bool = False
    # The documented limit of a status is 40. Other sources give 1,000 for a dropdown; this account was stopped at 500.
    status_labels: int = Field(default=40, gt=0)
    dropdown_labels: int = Field(default=500, gt=0)

    # Answers larger than this are not stored under their idempotency key.
    remembered_bytes: int = Field(default=1_000_000, gt=0)

    latency: float = Field(default=0.02, ge=0)
    # The time that each alias of a mutation takes. Above 0, each alias has a commit of its own, as with the fault
    # `slow_aliases`, which overrides it; at 0, all aliases and the key are one commit.
    latency_per_mutation: float = Field(default=0.0, ge=0)
    # Pages and searches do not return items younger than this; reads by id do.
    lookup_lag: float = Field(default=0.0, ge=0)

    seed: int = 1
    fault_rules: tuple[faults.Rule, ...] = ()

    @property
    def key_lifetime(self) -> float:
        """Seconds that an idempotency key is remembered: 30 of the API's minutes."""
        return 30 * self.minute

    @property
    def cursor_lifetime(self) -> float:
        """Seconds from the first page to the end of a cursor: 60 of the API's minutes."""
        return 60 * self.minute
