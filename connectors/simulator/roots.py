"""The fields of Query and Mutation. Each mutation runs as its own step, and the faults of its alias strike here."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from graphql import GraphQLError

from connectors.simulator import answers, clock, faults, limits, stats, store, values, views

MAX_IDS = 100

P = ParamSpec("P")
T = TypeVar("T")


class _Root:
    def __init__(self, reader: views.Reader, charge: limits.Charge) -> None:
        self._reader = reader
        self._charge = charge

    def complexity(self, _: views.Info) -> dict[str, int]:
        charge = self._charge
        return {
            "before": charge.before,
            "query": charge.cost,
            "after": charge.after,
            "reset_in_x_seconds": charge.reset_in,
        }


class Query(_Root):
    """The reads of the API."""

    def boards(
        self, _: views.Info, limit: int | None, page: int | None, ids: list[str] | None = None
    ) -> list[views.Board]:
        """The boards with these ids, in the order of the boards; unknown ids are ignored."""
        known = self._reader.state.boards.values()
        wanted = [each for each in known if ids is None or str(each.id) in ids]
        return [views.Board(self._reader, each) for each in _slice(wanted, limit, page)]

    def items(
        self,
        _: views.Info,
        limit: int | None,
        page: int | None,
        ids: list[str] | None = None,
        exclude_nonactive: bool | None = None,
        newest_first: bool | None = None,
    ) -> list[views.Item]:
        """Items by id, of every state, up to `limit`, which is 25 by default."""
        if ids is None or max(len(ids), limit or 0) > MAX_IDS:
            raise answers.failed("InvalidArgumentException", f"items takes 1 to {MAX_IDS} ids")
        listed = self._reader.state.items(
            f"id IN ({', '.join('?' * len(ids))}) ORDER BY id {'DESC' if newest_first else 'ASC'}",
            [store.number(each) for each in ids],
        )
        kept = [each for each in listed if each.state == "active" or not exclude_nonactive]
        return [views.Item(self._reader, each) for each in _slice(kept, limit, page)]

    def items_page_by_column_values(
        self,
        _: views.Info,
        board_id: str,
        limit: int,
        columns: list[dict[str, Any]] | None = None,
        cursor: str | None = None,
    ) -> views.Page:
        if cursor is None:
            board = self._reader.rules.board(board_id)
            page = self._reader.search.by_column_values(board, limit, columns or [])
        elif columns is None:
            page = self._reader.search.next_page(cursor, limit)
        else:
            raise answers.failed("InvalidArgumentException", "A cursor excludes columns")
        return views.Page(self._reader, page, filtered_by=True)

    def next_items_page(self, _: views.Info, cursor: str, limit: int) -> views.Page:
        return views.Page(self._reader, self._reader.search.next_page(cursor, limit))

    def me(self, _: views.Info) -> dict[str, Any]:
        account = {"id": self._reader.state.account_id, "name": values.ACCOUNT_NAME}
        return {"id": values.USER_ID, "name": values.USER_NAME, "account": account}

    def platform_api(self, _: views.Info) -> dict[str, Any]:
        calls = self._reader.settings.calls_per_day
        return {"daily_limit": {"base": calls, "total": calls}}


def _step(
    act: Callable[Concatenate["Mutation", P], T],
) -> Callable[Concatenate["Mutation", P], "T | Awaitable[T | None] | None"]:
    """Run one alias as its own step and count it, unless its fault strikes."""

    def run(self: "Mutation", /, *args: P.args, **kwargs: P.kwargs) -> "T | Awaitable[T | None] | None":
        rule = self.struck.get(self.position)
        self.position += 1

        def effect() -> T | None:
            if rule and rule.kind is faults.Kind.THROTTLE_200:
                raise _field_throttled(rule)
            if rule and rule.kind is faults.Kind.PARTIAL_ALIASES:
                raise answers.failed(rule.code or "RecordInvalidException", "Fault: this alias fails", status_code=422)
            if rule and not rule.takes_effect():
                return None
            with self.counted_step():
                done = act(self, *args, **kwargs)
            return None if rule else done

        return self.in_turn(effect)

    return run


def _field_throttled(rule: faults.Rule) -> GraphQLError:
    return GraphQLError(
        "Field limit per minute exceeded",
        extensions={
            "code": "FIELD_MINUTE_RATE_LIMIT_EXCEEDED",
            "status_code": 429,
            "retry_in_seconds": round(rule.seconds) or 1,
        },
    )


class Mutation(_Root):
    """The mutations of the API. `tried` counts the aliases that were run, `done` those that succeeded.

    `pause` is the time that each alias takes. With None they take none, and run inside a transaction of the caller;
    else each alias is a transaction of its own.
    """

    def __init__(
        self,
        reader: views.Reader,
        charge: limits.Charge,
        struck: Mapping[int, faults.Rule],
        counters: stats.Stats,
        time: clock.Clock,
        pause: float | None,
    ) -> None:
        super().__init__(reader, charge)
        self.struck = struck
        self.position = self.tried = self.done = 0
        self._stats = counters
        self._clock = time
        self._pause = pause

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()

    def in_turn(self, effect: Callable[[], T]) -> T | Awaitable[T]:
        """Let an alias take effect, now or after the time that it takes."""
        return effect() if self._pause is None else self._after(self._pause, effect)

    async def _after(self, seconds: float, effect: Callable[[], T]) -> T:
        await self._clock.sleep(seconds)
        return effect()

    @contextlib.contextmanager
    def counted_step(self) -> Iterator[None]:
        """Run one alias: all its changes or none, and its success, are counted."""
        state = self._reader.state
        self.tried += 1
        succeeded = False
        try:
            with state.step() if self._pause is None else state.transaction():
                yield
            succeeded = True
            self.done += 1
        finally:
            self._stats.ran(done=succeeded)

    @_step
    def create_item(
        self,
        _: views.Info,
        board_id: str,
        item_name: str,
        group_id: str | None = None,
        column_values: Any = None,
        create_labels_if_missing: bool | None = None,
    ) -> views.Item:
        rules, labels = self._reader.rules, bool(create_labels_if_missing)
        return self._item(rules.create_item(board_id, item_name, group_id, column_values, labels, self._now))

    @_step
    def create_subitem(
        self,
        _: views.Info,
        parent_item_id: str,
        item_name: str,
        column_values: Any = None,
        create_labels_if_missing: bool | None = None,
    ) -> views.Item:
        rules, labels = self._reader.rules, bool(create_labels_if_missing)
        return self._item(rules.create_subitem(parent_item_id, item_name, column_values, labels, self._now))

    @_step
    def change_multiple_column_values(
        self,
        _: views.Info,
        board_id: str,
        column_values: Any,
        item_id: str | None = None,
        create_labels_if_missing: bool | None = None,
    ) -> views.Item:
        rules, labels = self._reader.rules, bool(create_labels_if_missing)
        return self._item(rules.change(board_id, item_id, column_values, labels, self._now))

    @_step
    def move_item_to_group(self, _: views.Info, group_id: str, item_id: str | None = None) -> views.Item:
        return self._item(self._reader.rules.move(item_id, group_id, self._now))

    @_step
    def archive_item(self, _: views.Info, item_id: str | None = None) -> views.Item:
        return self._item(self._reader.rules.remove(item_id, "archived", self._now))

    @_step
    def delete_item(self, _: views.Info, item_id: str | None = None) -> views.Item:
        return self._item(self._reader.rules.remove(item_id, "deleted", self._now))

    @_step
    def create_group(self, _: views.Info, board_id: str, group_name: str) -> views.Group:
        return views.Group(self._reader, self._reader.rules.create_group(board_id, group_name))

    @_step
    def update_group(
        self, _: views.Info, board_id: str, group_attribute: str, group_id: str, new_value: str
    ) -> views.Group:
        rules = self._reader.rules
        return views.Group(self._reader, rules.update_group(board_id, group_id, group_attribute, new_value))

    @_step
    def create_column(
        self, _: views.Info, board_id: str, title: str, column_type: str, id: str | None = None
    ) -> views.Column:
        return views.Column(self._reader, self._reader.rules.create_column(board_id, title, column_type, id))

    def _item(self, item: store.Item) -> views.Item:
        return views.Item(self._reader, item)


def _slice(values: list[T], limit: int | None, page: int | None) -> list[T]:
    size = limit or 25
    start = size * ((page or 1) - 1)
    return values[start : start + size]
