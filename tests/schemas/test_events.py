"""Events: what travels is what was said, and each staged row has a key of its own."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import codec, detection, events
from schemas.failures import FailureType
from schemas.orders import Problem

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
IDENTITY: dict[str, Any] = {
    "customer": "GREYSON CLOTHIERS", "record_uuid": "U1", "version": 7, "row_hash": "H", "batch_id": "B",
}  # fmt: skip
CHANGED = events.OrderChanged(
    **IDENTITY,
    change=events.Change.UPDATED,
    position=3,
    detected_at=NOW,
    row={"NOTES": 'é\n"\\🧵\x00', "TOTAL QTY": 2**63 - 1, "HANDLING": None},
    sizes={"30X30": 0, "∆": 5},
)
ALL = [
    CHANGED,
    events.OrderStaged(**IDENTITY, cause=events.Cause.REPLAY, attempt=2),
    events.OrderSynced(**IDENTITY, item_id=None, mutations=0, synced_at=NOW),
    events.OrderFailed(
        **IDENTITY,
        failure=FailureType.NETWORK_ERROR,
        code="C",
        message="m",
        retryable=True,
        size_label="32DD",
        failed_at=NOW,
    ),
]


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_what_is_read_is_what_was_written(event: events.OrderEvent) -> None:
    assert codec.decode(type(event), codec.encode(event)) == event
    assert event.identity == IDENTITY


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("kind", [type(event) for event in ALL])
def test_one_event_is_never_taken_for_another(event: events.OrderEvent, kind: type[events.OrderEvent]) -> None:
    if kind is not type(event):
        with pytest.raises(codec.Undecodable, match=f"not {kind.__name__}"):
            codec.decode(kind, codec.encode(event))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no value where OrderStaged was expected"),
        (b"", "the value"),
        (b"\xff\xfe", "the value"),
        (b"secret", "the value"),
        (b"[]", "the value"),
        (b"{}", "customer: Field required"),
        (codec.encode(ALL[1]).replace(b'"version":7', b'"version":"secret"'), "version"),
        (codec.encode(ALL[1])[:-1] + b',"more":"secret"}', "more: Extra inputs"),
        (codec.encode(ALL[1]).replace(b'"U1"', b'"\\ud800"'), "the value"),
    ],
)
def test_what_cannot_be_read_says_where_and_not_what(value: bytes | None, said: str) -> None:
    with pytest.raises(codec.Undecodable, match=said) as raised:
        codec.decode(events.OrderStaged, value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_an_event_is_never_changed() -> None:
    with pytest.raises(ValidationError):
        CHANGED.version = 8  # type: ignore[misc]


CELLS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), CELLS))
def test_any_cell_travels_with_its_type(row: dict[str, str | int | None]) -> None:
    read = codec.decode(events.OrderChanged, codec.encode(CHANGED.model_copy(update={"row": row}))).row
    assert read == row
    assert [type(cell) for cell in read.values()] == [type(cell) for cell in row.values()]


PLACES = st.tuples(st.integers(1, 2**34), st.integers(0, events.POSITIONS - 1))


@given(PLACES, PLACES)
def test_staged_rows_and_their_sizes_never_share_a_key(one: tuple[int, int], other: tuple[int, int]) -> None:
    keys = [CHANGED.model_copy(update={"version": v, "position": p}).stg_id for v, p in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert one == other or abs(keys[0] - keys[1]) >= 2048
    assert max(keys) + 2047 < 2**63


@given(PLACES, st.integers(0, 2**27 - 1))
def test_keys_of_refused_rows_stay_apart_from_those_of_orders(place: tuple[int, int], refused: int) -> None:
    key = CHANGED.model_copy(update={"version": place[0], "position": place[1]}).stg_id
    assert not key <= (place[0] << 28 | 1 << 27 | refused) < key + 2048


def test_filters_know_whether_they_choose_anything() -> None:
    assert not detection.Filters().any
    assert detection.Filters(limit=0).any
    assert detection.Filters(customer="").any


@pytest.mark.parametrize(
    ("told", "quiet"),
    [
        ({}, True),
        ({"emitted": 1}, False),
        ({"deferred": 1}, False),
        ({"held": "x"}, False),
        ({"filtered": True}, False),
    ],
)
def test_a_pass_is_quiet_when_source_and_snapshot_are_equal(told: dict[str, Any], quiet: bool) -> None:
    assert detection.PassReport(number=1, started_at=NOW, finished_at=NOW, **told).quiet is quiet


def test_a_problem_reads_like_a_sentence() -> None:
    wrong = Problem(column="S", value="x", reason="not a number", advice="Write digits")
    assert str(wrong) == "[S] is 'x': not a number. Write digits"
    assert str(wrong.model_copy(update={"value": None})).startswith("[S] is blank")
