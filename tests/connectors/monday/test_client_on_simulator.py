"""Client, budget and board against the simulator over real HTTP: two readings of one fact sheet meet."""

import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.monday import board, board_values, budget, client, documents, error_table, limits, responses
from connectors.simulator import config, faults, server
from schemas import items

BOARD = "9200517329"
STYLE, CUSTOMER, KEY = "text_mkr5cz8m", "dropdown_mkr542p2", "ordersync_key"


class Waits:
    """Our side of the clock: a pause passes at once."""

    slept = 0.0

    def clock(self) -> float:
        return time.monotonic() + self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


@contextlib.asynccontextmanager
async def connect(
    folder: Path,
    *rules: faults.Rule,
    limit: limits.Limits | None = None,
    waits: Waits | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[client.Client, server.Simulator]]:
    chosen = config.Config(state=folder / "board.sqlite", latency=0.0, fault_rules=rules, **settings)
    async with server.Simulator(chosen) as simulator:
        limit = limit or limits.preset("personal", "pro")
        paces = budget.Budget(limit, clock=waits.clock, sleep=waits.sleep) if waits else budget.Budget(limit)
        async with client.Client(simulator.url, "t", budget=paces, rng=random.Random(1)) as subject:
            yield subject, simulator


def create(number: int, group: str = "G") -> items.CreateItem:
    columns = {STYLE: f"P-{number}", CUSTOMER: {"labels": ["GREYSON"]}}
    return items.CreateItem(
        record_uuid=f"u{number}", name=f"item {number}", group_name=group, columns=columns, create_labels=True
    )


async def write(subject: client.Client, *mutations: items.Mutation, key: str | None = None) -> list[responses.Verdict]:
    groups = {"G": "topics"} | {group.title: group.id for group in await board.Board(subject, BOARD).groups()}
    request = documents.render(mutations, board_id=BOARD, group_ids=groups)
    reply = await subject.send(request.body, key=key, mutations=len(mutations))
    return responses.judge(reply, request.aliases)


def active(simulator: server.Simulator) -> list[str]:
    return [item["name"] for item in simulator.admin.board()["items"] if item["state"] == "active"]


async def test_an_order_lives_on_the_board_and_is_read_back(tmp_path: Path) -> None:
    async with connect(tmp_path) as (subject, _):
        seen = board.Board(subject, BOARD)
        assert await seen.ensure_key_column(KEY, "Record key") is True
        assert await seen.ensure_key_column(KEY, "Record key") is False

        (group,) = await write(subject, items.CreateGroup(group_name="GREYSON 2026 SPRING"))
        assert isinstance(group, items.Done)
        assert group.id in {one.id for one in await seen.groups() if one.title == "GREYSON 2026 SPRING"}

        order = create(1, "GREYSON 2026 SPRING")
        order = order.model_copy(update={"columns": {**order.columns, KEY: "uuid-1"}})
        (made,) = await write(subject, order)
        assert isinstance(made, items.Done)
        assert made.board_id == BOARD
        (label,) = [column for column in await seen.columns() if column.id == CUSTOMER]
        assert (label.type, list(label.labels)) == ("dropdown", ["GREYSON"])

        sizes = [
            items.CreateSubitem(record_uuid="uuid-1", size_label=size, parent_item_id=made.id, name=size, columns={})
            for size in ("S", "XL")
        ]
        small, large = await write(subject, *sizes)
        assert isinstance(small, items.Done)
        assert isinstance(large, items.Done)
        assert small.board_id is not None
        assert small.board_id != BOARD

        renamed = items.UpdateItem(record_uuid="uuid-1", item_id=made.id, columns={"name": "new", STYLE: None})
        resized = items.UpdateSubitem(
            record_uuid="uuid-1", size_label="S", item_id=small.id, board_id=small.board_id, columns={"name": "XS"}
        )
        moved = items.MoveItem(record_uuid="uuid-1", item_id=made.id, group_name="G")
        assert [verdict.kind for verdict in await write(subject, renamed, resized, moved)] == ["done"] * 3

        ((item,),) = [page async for page in seen.items(page=100)]
        assert (item.id, item.name, item.group_id, item.state) == (made.id, "new", "topics", "active")
        assert item.columns[KEY] == board_values.Shown(text="uuid-1", value="uuid-1")
        assert item.columns[CUSTOMER].text == "GREYSON"
        assert not item.columns[STYLE].text
        assert [child.name for child in item.subitems] == ["XS", "XL"]
        found = await seen.find_items(KEY, ["UUID-1", "uuid-2"], columns=[STYLE])
        assert {key: [hit.id for hit in hits] for key, hits in found.items()} == {"UUID-1": [made.id], "uuid-2": []}
        assert {child.id for child in (await seen.subitems([made.id]))[made.id]} == {small.id, large.id}

        gone = items.RemoveItem(record_uuid="uuid-1", item_id=made.id, removal=items.Removal.ARCHIVE)
        assert [verdict.kind for verdict in await write(subject, gone)] == ["done"]
        place = board_values.ItemPlace(board_values.ItemState.ARCHIVED, seen.board_id)
        assert (await seen.places([made.id, "1"])) == {made.id: place}
        assert [page async for page in seen.items()] == [[]]


async def test_pages_follow_each_other_to_the_end(tmp_path: Path) -> None:
    async with connect(tmp_path) as (subject, _):
        await write(subject, *(create(number) for number in range(60)))
        pages = [page async for page in board.Board(subject, BOARD).items(columns=[STYLE], subitems=False, page=25)]
        assert [len(page) for page in pages] == [25, 25, 10]
        assert {item.name for page in pages for item in page} == {f"item {number}" for number in range(60)}


async def test_a_bad_row_fails_alone(tmp_path: Path) -> None:
    async with connect(tmp_path) as (subject, simulator):
        bad = create(2).model_copy(update={"columns": {"no_such_column": "x"}})
        verdicts = await write(subject, create(1), bad, create(3))
        assert [verdict.kind for verdict in verdicts] == ["done", "refused", "done"]
        refused = verdicts[1]
        assert isinstance(refused, items.Refused)
        assert refused.code == "InvalidColumnIdException"
        assert refused.request_id
        assert active(simulator) == ["item 1", "item 3"]


@pytest.mark.parametrize("kind", ["throttle_429", "locked_423", "legacy_error"])
async def test_what_was_not_executed_is_done_once_after_the_wait(tmp_path: Path, kind: str) -> None:
    rule = faults.Rule(kind=faults.Kind(kind), at=(1,), seconds=1)
    waits = Waits()
    async with connect(tmp_path, rule, waits=waits) as (subject, simulator):
        (verdict,) = await write(subject, create(1), key="k")
        assert verdict.kind == "done"
        assert waits.slept == pytest.approx(1, abs=0.01)
        assert active(simulator) == ["item 1"]
        assert simulator.service.stats.mutation_requests == 2


@pytest.mark.parametrize(
    "kind", ["lost_response", "error_500_after", "error_500_before", "reset", "bad_gateway_html", "conflict_409"]
)
async def test_an_unknown_outcome_is_settled_by_the_same_body_and_key(tmp_path: Path, kind: str) -> None:
    async with connect(tmp_path, faults.Rule(kind=faults.Kind(kind), at=(1,))) as (subject, simulator):
        with pytest.raises(errors.OutcomeUnknown) as unknown:
            await write(subject, create(1), create(2), key="k")
        assert not isinstance(unknown.value, error_table.MustLookUp)
        verdicts = await write(subject, create(1), create(2), key="k")
        assert [verdict.kind for verdict in verdicts] == ["done", "done"]
        assert active(simulator) == ["item 1", "item 2"]


async def test_aliases_that_fare_differently_are_told_apart(tmp_path: Path) -> None:
    rules = (
        faults.Rule(kind=faults.Kind.THROTTLE_200, at=(1,), aliases=(1,), seconds=3),
        faults.Rule(kind=faults.Kind.PARTIAL_ALIASES, at=(1,), aliases=(2,), code="ColumnValueException"),
        faults.Rule(kind=faults.Kind.NULL_ALIAS, at=(1,), aliases=(3,)),
    )
    async with connect(tmp_path, *rules) as (subject, simulator):
        verdicts = await write(subject, *(create(number) for number in range(5)))
        assert [verdict.kind for verdict in verdicts] == ["done", "throttled", "refused", "unknown", "done"]
        assert verdicts[1] == responses.Throttled(wait=3, code="FIELD_MINUTE_RATE_LIMIT_EXCEEDED")
        # The one without a word was done: unknown is not refused.
        assert active(simulator) == ["item 0", "item 3", "item 4"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unauthorized", error_table.AccountStop),
        ("daily_limit", error_table.AccountStop),
        ("board_missing", error_table.BoardStop),
    ],
)
async def test_a_stop_is_raised(tmp_path: Path, kind: str, expected: type[Exception]) -> None:
    async with connect(tmp_path, faults.Rule(kind=faults.Kind(kind), at=(1,))) as (subject, simulator):
        with pytest.raises(expected):
            await write(subject, create(1))
        assert active(simulator) == []


@pytest.mark.slow
async def test_a_backlog_uses_up_every_minute_and_is_never_refused(tmp_path: Path) -> None:
    limit = limits.preset("trial", "pro", minute_seconds=1.0)
    settings: dict[str, Any] = {"minute": 1.0, "complexity_per_minute": 1_000_000}
    async with connect(tmp_path, limit=limit, **settings) as (subject, simulator):
        windows = simulator.service.gate.complexity.closed
        written = 0
        while len(windows) < 3:
            size = min(25, subject.budget.mutations_left()) or 25
            request = documents.render(
                [create(written + number) for number in range(size)], board_id=BOARD, group_ids={"G": "topics"}
            )
            await subject.send(request.body, key=None, mutations=size)
            written += size
        assert simulator.service.stats.throttled == 0
        assert [spent / 1_000_000 for _, spent in windows] == pytest.approx([0.99] * 3, abs=0.02)
        assert simulator.service.stats.max_writes_in_flight == 1
        assert len(active(simulator)) == written


@pytest.mark.slow
async def test_half_the_expected_budget_is_noticed(tmp_path: Path) -> None:
    limit = limits.preset("trial", "pro", minute_seconds=1.0)
    settings: dict[str, Any] = {"minute": 1.0, "complexity_per_minute": 500_000}
    async with connect(tmp_path, limit=limit, **settings) as (subject, simulator):
        for number in range(8):
            await write(subject, *(create(number * 10 + each) for each in range(5)))
        assert simulator.service.stats.throttled <= 2
        assert subject.budget.snapshot().complexity_limit == 500_000
        assert len(active(simulator)) == 40
