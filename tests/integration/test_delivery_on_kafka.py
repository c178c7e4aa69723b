"""Delivery on the real broker: whatever happens, nothing is lost and nothing is skipped.

Where events could be lost by Faust itself, both of its builds are tried.
"""

import signal
import time
from typing import Any

from streams import topics

Lane = Any


def orders(numbers: range) -> list[str]:
    return [f"order-{number}" for number in numbers]


def test_poison_goes_to_the_dead_letters_and_every_good_event_around_it_is_worked(lane: Lane, build: str) -> None:
    lane.start()
    lane.send(range(3))
    lane.send_raw([b"\xff\x00 no event", None, b'{"customer": 1}'])
    lane.send(range(3, 6))
    lane.until(lambda: lane.committed() == 9, "all nine are acknowledged")
    assert lane.worked() == orders(range(6))
    letters = lane.read(topics.DEAD_LETTER)
    assert [letter.value() or b"" for letter in letters] == [b"\xff\x00 no event", b"", b'{"customer": 1}']
    headers = [dict(letter.headers()) for letter in letters]
    assert [header["origin-offset"] for header in headers] == [b"3", b"4", b"5"]
    assert {header["origin-topic"].decode() for header in headers} == {lane.topic(topics.CHANGED)}
    assert {(header["origin-partition"], header["error-class"]) for header in headers} == {(b"3", b"Undecodable")}
    assert [b"no value" in header["error"] for header in headers] == [False, True, False]
    assert lane.running


def test_nothing_is_acknowledged_before_kafka_has_the_result(lane: Lane, build: str) -> None:
    (lane.folder / "no-sending").touch()
    lane.send(range(30))
    lane.start()
    assert lane.ended() == 75
    assert lane.committed() == 0
    assert len(lane.lines("tried")) == 1, "the step is done: only the sending is repeated"
    assert "Traceback" not in lane.log.read_text()
    (lane.folder / "no-sending").unlink()
    lane.start()
    lane.until(lambda: lane.committed() == 30, "all are acknowledged")
    assert lane.staged() == set(orders(range(30)))


def test_what_may_pass_is_tried_a_bounded_number_of_times_then_the_process_ends(lane: Lane) -> None:
    lane.send(range(5))
    lane.start(trouble="transient")
    assert lane.ended() == 75
    assert len(lane.lines("tried")) == 4
    assert lane.committed() == 0
    log = lane.log.read_text()
    assert "Traceback" not in log
    assert "CRITICAL streams.delivery.consumer: orders.changed: the database is locked" in log
    lane.start()
    lane.until(lambda: lane.committed() == 5, "all are acknowledged")
    assert lane.worked() == orders(range(5))


def test_an_unknown_error_ends_the_process_and_commits_nothing_beyond_what_was_worked(lane: Lane, build: str) -> None:
    lane.start(take=5, unknown_at="order-12")
    lane.send(range(40))
    assert lane.ended() == 70
    assert lane.committed() <= 10
    assert "ZeroDivisionError" in lane.log.read_text()
    lane.start(take=5)
    lane.until(lambda: lane.committed() == 40, "all are acknowledged")
    assert lane.staged() == set(orders(range(40)))
    # What came twice came after it had come once: no order was overtaken for good.
    assert list(dict.fromkeys(lane.worked())) == orders(range(40))


def test_what_a_person_must_cure_is_held_with_its_reason_and_goes_on_when_it_is_cured(lane: Lane) -> None:
    lane.start(trouble="misconfigured", stuck=1.0)
    lane.send(range(5))
    lane.until(lambda: lane.status() == {"orders.changed": "the token is refused"}, "the status says why")
    # Three times as long as the watchdog would wait for a lane that does not hold.
    lane.until(lambda: len(lane.lines("tried")) >= 6, "it asks again")
    assert lane.running
    assert lane.committed() == 0
    (lane.folder / "cured").touch()
    lane.until(lambda: lane.committed() == 5, "all are acknowledged")
    assert lane.worked() == orders(range(5))
    lane.until(lambda: lane.status() == {}, "the hold is over")
    log = lane.log.read_text()
    assert log.count("the token is refused") == 1, "a hold is told once, however long it lasts"
    assert "orders.changed goes on" in log


def test_a_stop_while_it_holds_is_prompt_and_acknowledges_nothing(lane: Lane, build: str) -> None:
    lane.start(trouble="misconfigured")
    lane.send(range(5))
    lane.until(lane.status, "it holds")
    began = time.monotonic()
    lane.child.signal(signal.SIGTERM)
    assert lane.ended() == 0
    assert time.monotonic() - began < 4
    assert lane.committed() == 0
    (lane.folder / "cured").touch()
    lane.start()
    lane.until(lambda: lane.committed() == 5, "all are acknowledged")


def test_a_worker_joins_while_a_batch_is_in_work_and_the_group_does_not_wait_for_it(lane: Lane, build: str) -> None:
    lane.start(gated=True)
    lane.send(range(10))
    lane.until(lambda: lane.lines("tried"), "the batch is begun")
    [size] = map(int, lane.lines("tried"))
    with lane.beside() as other:
        other.start(worker="worker-2")
        lane.until(lambda: lane.members() == 2, "both are members")
        assert not lane.worked(), "the batch is still in work"
        (lane.folder / "go").touch()
        # Whoever has the partition now begins anew; the first one works on to the end.
        lane.until(lambda: len(lane.worked()) >= size, "the batch ends")
        lane.until(lambda: lane.committed() == 10, "all are acknowledged")
        assert lane.running
        assert other.running
    assert lane.staged() == set(orders(range(10)))


def test_a_lost_lease_ends_the_process_at_once(lane: Lane) -> None:
    lane.start(trouble="lease")
    lane.send(range(5))
    assert lane.ended() == 75
    assert len(lane.lines("tried")) == 1
    assert lane.committed() == 0
    assert "the lease went to another process" in lane.log.read_text().splitlines()[-1]


def test_kill_9_in_the_midst_of_work_loses_nothing_and_work_goes_on_within_seconds(lane: Lane, build: str) -> None:
    total = 300
    lane.send(range(total))
    lane.start(slow=0.005, take=10)
    for kills in (60, 150):
        lane.until(lambda kills=kills: len(set(lane.worked())) >= kills, "it works")
        lane.child.signal(signal.SIGKILL)
        lane.ended()
        before, killed = len(lane.worked()), time.monotonic()
        lane.start(slow=0.005, take=10)
        lane.until(lambda before=before: len(lane.worked()) > before, "it works again")
        # The static member id spares it the wait for the dead one's session, 10 s.
        assert time.monotonic() - killed < 7
    lane.until(lambda: lane.committed() == total, "all are acknowledged")
    assert lane.staged() == set(orders(range(total)))
    assert list(dict.fromkeys(lane.worked())) == orders(range(total))


def test_a_worker_ends_by_itself_when_the_topics_are_made_anew_and_works_after_its_restart(lane: Lane) -> None:
    lane.start()
    lane.send(range(5))
    lane.until(lambda: lane.committed() == 5, "all are acknowledged")
    lane.delete_topics()
    lane.make_topics()
    assert lane.ended() == 75
    assert f"watchdog: {lane.topic(topics.CHANGED)} was deleted or made anew" in lane.log.read_text()
    lane.send(range(5, 15))
    lane.start()
    lane.until(lambda: set(lane.worked()) == set(orders(range(15))), "all are worked")


def test_a_blocked_loop_ends_the_process_and_the_log_says_where(lane: Lane) -> None:
    lane.start(trouble="blocked")
    lane.send(range(1))
    assert lane.ended() == 75
    assert "watchdog: the event loop has not run for" in lane.log.read_text()
    assert "lane_child.py" in lane.log.read_text().splitlines()[-1]
    assert lane.committed() == 0


def test_the_watchdog_lets_a_lane_alone_that_has_nothing_to_do(lane: Lane) -> None:
    lane.start(stuck=2.0)
    lane.send(range(3))
    lane.until(lambda: lane.committed() == 3, "all are acknowledged")
    ticks: set[int] = set()

    def has_ticked() -> bool:
        ticks.add((lane.folder / "status").stat().st_mtime_ns)
        return len(ticks) > 40

    # Far longer than the watchdog's patience, measured in ticks of the lane itself.
    lane.until(has_ticked, "it ticks", 30)
    assert lane.running
    lane.send(range(3, 6))
    lane.until(lambda: lane.committed() == 6, "work that comes late is worked")
    assert lane.worked() == orders(range(6))
