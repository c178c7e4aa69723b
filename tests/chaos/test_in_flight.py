"""A gateway gives up on the creates of a first load, the API goes on with them, and the writer is killed meanwhile."""

from pathlib import Path

import pytest

from tests.chaos.real import in_flight

pytestmark = pytest.mark.timeout(600)


def test_nothing_is_made_twice_when_the_api_goes_on_after_its_answer_was_lost(tmp_path: Path) -> None:
    # `make chaos` plays the cases with a minute for each request, and with more time for each mutation.
    case = in_flight.Case(alias=0.2, request=in_flight.ITEMS, killed=True)
    outcome = in_flight.play(tmp_path / "home", 1, case=case, in_flight=6.0)
    assert outcome.wrong == []
    assert outcome.figures["duplicates"] == 0
