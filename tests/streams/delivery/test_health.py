"""What a worker says of itself."""

import asyncio

from streams.delivery import health


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_lane_is_idle_since_it_last_got_anywhere_or_since_the_start() -> None:
    clock = Clock()
    state = health.Health(clock)
    clock.now += 7
    assert state.idle("sync") == 7
    state.progress("sync", 3)
    clock.now += 2
    assert state.idle("sync") == 2
    state.progress("sync", 2)
    assert state.counts == {"sync": 5}


def test_a_hold_says_why_and_its_end_is_progress() -> None:
    clock = Clock()
    state = health.Health(clock)
    with state.hold("sync", "the token is refused"):
        assert state.holding == {"sync": "the token is refused"}
        clock.now += 3600
    assert state.holding == {}
    assert state.idle("sync") == 0


def test_a_hold_in_trouble_is_told_from_a_wait_for_the_other_side() -> None:
    state = health.Health()
    with state.hold("promote", "the API's budget is used up"), state.hold_in_trouble("sync", "the token is refused"):
        assert state.holding.keys() == {"promote", "sync"}
        assert state.trouble == {"sync"}
    assert state.trouble == set()


def test_a_wait_inside_a_hold_gives_the_holds_reason_back() -> None:
    state = health.Health()
    with state.hold("sync", "outer"):
        with state.hold("sync", "inner"):
            assert state.holding == {"sync": "inner"}
        assert state.holding == {"sync": "outer"}
    assert state.holding == {}


async def test_a_sleep_for_the_other_side_counts_as_holding_on_purpose() -> None:
    state = health.Health()
    sleeping = asyncio.create_task(state.sleeper("sync", "the API asked to wait")(0.01))
    await asyncio.sleep(0)
    assert state.holding == {"sync": "the API asked to wait"}
    await sleeping
    assert state.holding == {}
