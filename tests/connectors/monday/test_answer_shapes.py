"""Answers of another shape than the API promises: no id is invented, and no read ends in an error of Python."""

import json
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.monday import answers, board, board_values, budget, client, documents, error_formats, limits, responses
from connectors.simulator import config, server
from schemas import items

BOARD = "9200517329"
STYLE, CUSTOMER, KEY = "text_mkr5cz8m", "dropdown_mkr542p2", "ordersync_key"
CASES = 1_500
NO_IDS: list[Any] = [
    None,
    {},
    {"id": "1"},
    [],
    ["1"],
    True,
    False,
    1.5,
    -1,
    10**20,
    "",
    " ",
    "1; DROP",
    "9" * 40,
    "1\n",
]
VALUES: list[Any] = [None, True, 7, 1.5, -3, 1e300, "", "x", "1; DROP", "9" * 40, "\ud800", [], [1], {}, {"a": None}]

Post = Callable[[str, Mapping[str, str]], Awaitable[error_formats.Answer]]
Ask = Callable[[client.Client, board.Board], Awaitable[object]]


class Waits:
    """A pause passes at once, on the clock of the budget."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def connect(post: Post | None = None, url: str = "http://nowhere") -> client.Client:
    waits = Waits()
    paces = budget.Budget(limits.preset("personal", "enterprise"), clock=waits.clock, sleep=waits.sleep)
    return client.Client(url, "t", budget=paces, sleep=waits.sleep, rng=random.Random(1), post=post)


def answering(*texts: str, status: int = 200) -> tuple[client.Client, list[str]]:
    """A client of an API that gives these answers, and the last one for ever; and the bodies that it was sent."""
    left, sent = list(texts), list[str]()

    async def post(body: str, _: Mapping[str, str]) -> error_formats.Answer:
        sent.append(body)
        return error_formats.Answer(status=status, text=left.pop(0) if len(left) > 1 else left[0])

    return connect(post), sent


def judged(result: object) -> items.Outcome | responses.Throttled | responses.Stopped:
    text = json.dumps({"data": {"m0": result, "complexity": None}})
    reply = responses.read(error_formats.Answer(status=200, text=text))
    [verdict] = responses.judge(reply, ["m0"])
    return verdict


@pytest.mark.parametrize("value", NO_IDS)
def test_a_mutation_without_a_valid_id_has_no_known_outcome(value: Any) -> None:
    for result in ({"id": value, "board": {"id": "7"}}, {"id": value}, {"id": "11", "board": {"id": value}}):
        if value in (-1, "9" * 40) and "board" not in result:
            continue  # A text of digits may be the id of a group.
        assert isinstance(judged(result), items.Unknown), result


@pytest.mark.parametrize(
    "result", [{}, [], "11", 11, True, {"board": {"id": "7"}}, {"id": "abc", "board": {"id": "7"}}]
)
def test_a_result_of_another_shape_has_no_known_outcome(result: Any) -> None:
    assert isinstance(judged(result), items.Unknown)


def test_a_bad_id_is_unknown_even_beside_an_error_of_its_alias() -> None:
    error = {"message": "no", "path": ["m0", "id"], "extensions": {"code": "ColumnValueException"}}
    text = json.dumps({"data": {"m0": {"id": None, "board": None}}, "errors": [error]})
    [verdict] = responses.judge(responses.read(error_formats.Answer(status=200, text=text)), ["m0"])
    assert isinstance(verdict, items.Unknown)


@pytest.mark.parametrize(
    ("result", "done"),
    [
        ({"id": "12345678901234567890", "board": {"id": "7"}}, ("12345678901234567890", "7")),
        ({"id": 11, "board": {"id": 7}}, ("11", "7")),
        ({"id": "11", "board": None}, ("11", None)),
        ({"id": "new_group__1"}, ("new_group__1", None)),
    ],
)
def test_valid_ids(result: Any, done: tuple[str, str | None]) -> None:
    verdict = judged(result)
    assert isinstance(verdict, items.Done)
    assert (verdict.id, verdict.board_id) == done


def item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "name": "n",
        "state": "active",
        "board": {"id": BOARD},
        "group": {"id": "g", "title": "G"},
        "column_values": [],
        **more,
    }


@pytest.mark.parametrize("value", NO_IDS)
async def test_a_read_names_the_place_of_what_is_no_id(value: Any) -> None:
    found = {"cursor": None, "items": [item(1), item(2), item(3), item(4) | {"id": value}]}
    subject, _ = answering(json.dumps({"data": {"items_page_by_column_values": found}}))
    place = f"find_items: items_page_by_column_values.items[3].id is no id: {answers.short(value)}"
    with pytest.raises(errors.Transient, match=f"^{re.escape(place)}$"):
        await board.Board(subject, BOARD).find_items(KEY, ["a"])
    subject, _ = answering(json.dumps({"data": {"boards": [{"groups": [{"id": value, "title": "G"}]}]}}))
    if value not in (-1, "9" * 40):
        with pytest.raises(errors.Transient, match=r"^board_groups: boards\[0\].groups\[0\].id is no id: "):
            await board.Board(subject, BOARD).groups()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"items": None}, "items is no list: null"),
        ({"items": {"id": "1"}}, 'items is no list: {"id": "1"}'),
        ({"other": []}, "items is missing"),
        ({"items": [1]}, "items[0] is no object: 1"),
        ({"items": [item(1)]}, "items[0].subitems is missing"),
        ({"items": [item(1, subitems={})]}, "items[0].subitems is no list: {}"),
        ({"items": [item(1, subitems=[item(2, name=None)])]}, "items[0].subitems[0].name is no text: null"),
        ({"items": [item(1, subitems=[item(2, board=[])])]}, "items[0].subitems[0].board is no object: []"),
        ({"items": [item(1, subitems=[{"id": "2"}])]}, "items[0].subitems[0].board is missing"),
    ],
)
async def test_a_read_names_the_place_of_another_shape(data: Any, message: str) -> None:
    subject, _ = answering(json.dumps({"data": data}))
    with pytest.raises(errors.Transient, match=f"^{re.escape(f'subitems: {message}')}$"):
        await board.Board(subject, BOARD).subitems(["1"])


HTML = "<html><body><h1>Please sign in</h1></body></html>"
CUT = json.dumps({"data": {"m0": {"id": "11", "board": {"id": "7"}}}})[:-9]
GOOD = json.dumps({"data": {"boards": [{"groups": [{"id": "g", "title": "G"}]}]}})


@pytest.mark.parametrize("body", [HTML, CUT, "", "[]", "null", '"text"', '{"data": []}', '{"data": [1]}', "[" * 9_999])
async def test_a_body_without_sense_is_an_unknown_outcome_and_a_repeated_read(body: str) -> None:
    subject, sent = answering(body)
    with pytest.raises(errors.OutcomeUnknown):
        await subject.send('{"query":"mutation { m0: x }"}', key="k", mutations=1)
    assert len(sent) == 1
    subject, sent = answering(body, GOOD)
    assert [(group.id, group.title) for group in await board.Board(subject, BOARD).groups()] == [("g", "G")]
    assert len(sent) == 2
    subject, sent = answering(body)
    with pytest.raises(errors.Transient) as raised:
        await board.Board(subject, BOARD).groups()
    assert not isinstance(raised.value, errors.OutcomeUnknown)
    assert len(sent) == 6


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_stays() -> None:
    text = '{"data": {"m0": "\\ud83d\\ude00 \\ud83d!"}, "errors": [{"message": "\\udc00"}]}'
    reply = responses.read(error_formats.Answer(status=200, text=text))
    assert reply.data == {"m0": "😀 \N{REPLACEMENT CHARACTER}!"}
    assert reply.errors[0].message == "\N{REPLACEMENT CHARACTER}"


# From here on: real answers of the simulator, each of them changed at a random place.


def create(key: str) -> items.CreateItem:
    return items.CreateItem(
        record_uuid=key,
        name=f"item {key}",
        group_name="G",
        columns={STYLE: "P", CUSTOMER: {"labels": ["GREYSON"]}, KEY: key},
        create_labels=True,
    )


def writing(*mutations: items.Mutation) -> Ask:
    async def ask(subject: client.Client, _: board.Board) -> object:
        request = documents.render(mutations, board_id=BOARD, group_ids={"G": "topics", "H": "topics"})
        reply = await subject.send(request.body, key="k", mutations=len(mutations))
        return responses.judge(reply, request.aliases)

    return ask


async def _all_items(_: client.Client, seen: board.Board) -> object:
    return [page async for page in seen.items(page=3)]


def asks(parent: str, child: str, gone: str) -> dict[str, Ask]:
    """Every read document and every mutation, on these items of the board."""
    return {
        "columns": lambda _, seen: seen.columns(),
        "columns of boards": lambda _, seen: seen.columns_of([BOARD, BOARD]),
        "groups": lambda _, seen: seen.groups(),
        "items": _all_items,
        # Three items of one key: the second page is read by its cursor.
        "find": lambda _, seen: seen.find_items(KEY, ["dup"], subitems=True),
        "subitems": lambda _, seen: seen.subitems([parent]),
        "by id": lambda _, seen: seen.items_by_id([parent]),
        "places": lambda _, seen: seen.places([parent, child]),
        "change": writing(
            items.UpdateItem(record_uuid="u", item_id=parent, columns={"name": "new"}),
            items.MoveItem(record_uuid="u", item_id=parent, group_name="H"),
            items.CreateSubitem(record_uuid="u", size_label="S", parent_item_id=parent, name="S", columns={}),
            items.RemoveItem(record_uuid="u", item_id=gone, removal=items.Removal.ARCHIVE),
            items.RemoveItem(record_uuid="u", item_id=gone, removal=items.Removal.DELETE),
            items.UpdateItem(record_uuid="u", item_id="1", columns={"name": "not there"}),
        ),
        "create": writing(items.CreateGroup(group_name="new"), create("other")),
        "key column": lambda _, seen: seen.ensure_key_column("another_key", "Key"),
    }


async def recorded(folder: Path) -> tuple[dict[str, Ask], dict[str, str]]:
    """What to ask, and the simulator's answer to each body."""
    texts: dict[str, str] = {}
    chosen = config.Config(state=folder / "board.sqlite", latency=0.0)
    async with server.Simulator(chosen) as simulator, connect(url=simulator.url) as direct:

        async def post(body: str, headers: Mapping[str, str]) -> error_formats.Answer:
            answer = await direct._http(body, headers)
            assert answer.status == 200
            texts[body] = answer.text
            return answer

        subject = connect(post)
        seen = board.Board(subject, BOARD)
        await seen.ensure_key_column(KEY, "Record key")
        made = await writing(*(create(key) for key in ("dup", "dup", "dup", "gone")))(subject, seen)
        assert isinstance(made, list)
        parent, *_, gone = [done.id for done in made]
        sizes = [
            items.CreateSubitem(record_uuid="u", size_label=size, parent_item_id=parent, name=size, columns={})
            for size in ("M", "L")
        ]
        subitems = await writing(*sizes)(subject, seen)
        assert isinstance(subitems, list)
        texts.clear()
        known = asks(parent, subitems[0].id, gone)
        for ask in known.values():
            await ask(subject, seen)
    return known, texts


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a value."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def changed(text: str, rng: random.Random) -> str:
    """The answer with one value dropped or replaced, or cut in its middle."""
    if rng.random() < 0.05:
        return text[: rng.randrange(len(text))]
    payload = json.loads(text)
    path = rng.choice(list(places(payload)))
    if not path:
        return json.dumps(rng.choice(VALUES))
    within = payload
    for key in path[:-1]:
        within = within[key]
    if rng.random() < 0.25:
        del within[path[-1]]
    else:
        within[path[-1]] = rng.choice(VALUES)
    return json.dumps(payload)


def is_sound(result: object) -> bool:
    """Whether a result has only ids that are ids, and no text that no database stores."""
    match result:
        case items.Done():
            known = result.board_id is None or re.fullmatch("[0-9]{1,20}", result.board_id)
            return bool(known and re.fullmatch(r"[\w.:-]{1,100}", result.id))
        case board_values.BoardItem():
            assert re.fullmatch("[0-9]{1,20}", result.id)
            result.model_dump_json().encode()
            return all(map(is_sound, result.subitems))
        case list():
            return all(map(is_sound, result))
        case dict():
            return all(map(is_sound, result.values()))
    return True


async def test_every_answer_with_one_wrong_value_is_read_or_is_an_error_of_ours(tmp_path: Path) -> None:
    known, texts = await recorded(tmp_path)
    rng = random.Random(20261201)
    failed = read = 0
    unlisted = json.dumps({"errors": [{"message": "no such cursor", "extensions": {"code": "CursorException"}}]})
    for number in range(CASES):
        name = rng.choice(sorted(known))
        asked: list[str] = []

        async def note(body: str, _: Mapping[str, str], asked: list[str] = asked) -> error_formats.Answer:
            asked.append(body)
            return error_formats.Answer(status=200, text=texts[body])

        subject = connect(note)
        await known[name](subject, board.Board(subject, BOARD))
        struck = rng.choice(asked)
        wrong = changed(texts[struck], rng)

        async def post(
            body: str, _: Mapping[str, str], struck: str = struck, wrong: str = wrong
        ) -> error_formats.Answer:
            return error_formats.Answer(status=200, text=wrong if body == struck else texts.get(body, unlisted))

        subject = connect(post)
        try:
            result = await known[name](subject, board.Board(subject, BOARD))
        except errors.OrdersyncError:
            failed += 1
        except Exception as error:
            pytest.fail(f"case {number}, {name}: {error!r} after {wrong}")
        else:
            read += 1
            assert is_sound(result), f"case {number}, {name}: {result} after {wrong}"
    # Neither is everything refused, nor everything accepted.
    assert min(failed, read) > CASES / 10
