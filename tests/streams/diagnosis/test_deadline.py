"""An answer in time, or none; and one thread, however many ask a database that hangs."""

import asyncio
import threading

import pytest

from streams.diagnosis import deadline


class Hangs:
    """A question that hangs until the test lets it go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        assert self.go_on.wait(60)
        return self.asked


def test_an_answer_and_an_error_arrive_as_they_are() -> None:
    assert deadline.Question(lambda: 7).answer(60) == 7
    with pytest.raises(ZeroDivisionError):
        deadline.Question(lambda: 1 // 0).answer(60)


async def test_who_asks_while_it_hangs_waits_for_the_same_answer_and_later_there_is_a_new_one() -> None:
    hangs = Hangs()
    question = deadline.Question(hangs)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await question.wait(0.01)
    with pytest.raises(TimeoutError):
        question.answer(0.01)
    assert hangs.asked == 1
    hangs.go_on.set()
    assert await question.wait(60) in (1, 2)
    before = hangs.asked
    assert question.answer(60) == before + 1


async def test_a_question_that_hangs_leaves_the_threads_of_the_event_loop_alone() -> None:
    hangs = Hangs()
    questions = [deadline.Question(hangs) for _ in range(40)]
    answers = await asyncio.gather(*(question.wait(0.05) for question in questions), return_exceptions=True)
    assert {type(answer) for answer in answers} == {TimeoutError}
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 60) == 1
    hangs.go_on.set()
