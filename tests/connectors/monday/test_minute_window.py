"""Our picture of the minute: what an answer corrects, and on which side doubt falls."""

from connectors.monday import minute_window

LIMIT, WEIGHT = 5_000_000, 30_000


def test_a_window_opens_with_its_first_call_and_is_full_again_after_its_length() -> None:
    minute = minute_window.Window(LIMIT, 60)
    assert (minute.left(1_000), minute.resets_in(1_000)) == (LIMIT, 0)
    minute.settle(minute.reserve(LIMIT, 1_000), minute_window.WindowReport(), 1_000)
    assert (minute.left(1_059.9), minute.delay(1, 1_059.9)) == (0, 1_060 - 1_059.9)
    assert (minute.left(1_060), minute.delay(LIMIT, 1_060)) == (LIMIT, 0)


def test_the_window_ends_a_minute_after_the_first_answer_not_the_first_call() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(WEIGHT, 0), minute_window.WindowReport(), 2.5)
    assert minute.resets_in(2.5) == 60


def test_an_answer_replaces_the_estimate() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(300_000, 0), minute_window.WindowReport(cost=100_003), 1)
    assert minute.spent(1) == 100_003


def test_what_the_api_says_is_left_prevails() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(
        minute.reserve(WEIGHT, 0),
        minute_window.WindowReport(cost=WEIGHT, before=900_000, left=870_000, resets_in=20),
        1,
    )
    assert minute.left(1) == 870_000
    # Somebody else opened that window: it ends earlier than ours would, and says nothing about its size.
    assert 20 <= minute.resets_in(1) <= 21
    assert minute.left(30) == LIMIT


def test_the_first_call_of_a_whole_window_shows_its_size() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(
        minute.reserve(WEIGHT, 0), minute_window.WindowReport(before=2_500_000, left=2_470_000, resets_in=60), 1
    )
    assert minute.capacity == 2_500_000
    minute.settle(
        minute.reserve(WEIGHT, 100), minute_window.WindowReport(before=LIMIT, left=4_970_000, resets_in=60), 101
    )
    assert minute.capacity == LIMIT


def test_a_larger_budget_than_the_setting_is_not_used() -> None:
    minute = minute_window.Window(1_000_000, 60)
    minute.settle(
        minute.reserve(WEIGHT, 0), minute_window.WindowReport(before=LIMIT, left=LIMIT, limit=LIMIT, resets_in=60), 1
    )
    assert minute.capacity == 1_000_000


def test_whole_seconds_do_not_move_an_end_that_agrees_with_them() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(WEIGHT, 0), minute_window.WindowReport(), 0.4)
    for resets_in in (50, 51):
        minute.settle(minute.reserve(WEIGHT, 10), minute_window.WindowReport(resets_in=resets_in), 10.2)
        assert minute.resets_in(10.4) == 50


def test_a_request_that_crossed_the_reset_opened_the_next_window() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(LIMIT - WEIGHT, 0), minute_window.WindowReport(), 0)
    late = minute.reserve(WEIGHT, 59.9)
    minute.settle(late, minute_window.WindowReport(cost=WEIGHT, left=LIMIT - WEIGHT, resets_in=60), 60.3)
    assert minute.left(61) == LIMIT - WEIGHT
    assert 118 < 61 + minute.resets_in(61) <= 120.3


def test_an_answer_from_a_window_that_is_over_changes_nothing() -> None:
    minute = minute_window.Window(LIMIT, 60)
    slow = minute.reserve(WEIGHT, 0)
    minute.settle(minute.reserve(100, 61), minute_window.WindowReport(), 61)
    minute.settle(slow, minute_window.WindowReport(cost=5, left=0, resets_in=1), 62)
    assert (minute.left(62), minute.resets_in(62)) == (LIMIT - 100, 59)


def test_requests_on_their_way_stay_counted_when_another_answer_overtakes() -> None:
    minute = minute_window.Window(LIMIT, 60)
    first, second = minute.reserve(WEIGHT, 0), minute.reserve(WEIGHT, 0)
    minute.settle(second, minute_window.WindowReport(cost=WEIGHT, left=LIMIT - WEIGHT), 1)
    assert minute.spent(1) == 2 * WEIGHT
    minute.settle(first, minute_window.WindowReport(cost=WEIGHT, left=LIMIT - 2 * WEIGHT), 2)
    assert minute.spent(2) == 2 * WEIGHT


def test_a_lost_request_stays_spent_and_one_never_sent_does_not() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.lose(minute.reserve(WEIGHT, 0))
    minute.cancel(minute.reserve(WEIGHT, 0))
    assert minute.spent(1) == WEIGHT


def test_a_refusal_closes_the_window_for_the_stated_wait() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(600_000, 0), minute_window.WindowReport(), 0)
    minute.refuse(minute.reserve(WEIGHT, 1), minute_window.WindowReport(limit=700_000), 33, 2)
    assert (minute.delay(WEIGHT, 2), minute.delay(1, 2)) == (33, 33)
    assert (minute.capacity, minute.left(35)) == (700_000, 700_000)


def test_a_refusal_without_figures_leaves_what_was_granted_before() -> None:
    minute = minute_window.Window(LIMIT, 60)
    minute.settle(minute.reserve(600_000, 0), minute_window.WindowReport(), 0)
    minute.refuse(minute.reserve(WEIGHT, 1), minute_window.WindowReport(), 33, 2)
    assert minute.capacity == 600_000


def test_a_refused_first_request_halves_only_if_the_window_was_whole() -> None:
    shared, small = minute_window.Window(LIMIT, 60), minute_window.Window(LIMIT, 60)
    shared.refuse(shared.reserve(750_000, 0), minute_window.WindowReport(), 20, 0)
    small.refuse(small.reserve(750_000, 0), minute_window.WindowReport(), 60, 0)
    assert (shared.capacity, small.capacity) == (LIMIT, 375_000)


def test_one_mutation_bigger_than_a_window_has_a_window_to_itself() -> None:
    minute = minute_window.Window(10_000, 60)
    assert minute.delay(WEIGHT, 0) == 0
    minute.settle(minute.reserve(1, 0), minute_window.WindowReport(), 0)
    assert minute.delay(WEIGHT, 10) == 50
