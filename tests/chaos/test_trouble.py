"""The quick ones of the named broker troubles, one after the other on one stage of real processes."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from streams import topics
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real import trouble, trouble_scene
from tests.chaos.real.trouble_scene import Scene

pytestmark = pytest.mark.timeout(900)
SEED = 5
# Seconds: shorter than the session of a member of the group, so that a paused worker loses both.
LEASE = 4.0
PAUSED = 12.0
DELETED = partial(trouble.deleted, chosen=[topics.CHANGED])
# After a topic was deleted and all was wiped.
LAST = partial(trouble.writer_frozen, seconds=PAUSED)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Scene]]:
    """A new scene for each trouble, on one stage."""
    home = tmp_path_factory.mktemp("trouble") / "home"
    # How soon it goes on is measured by `make chaos`, on a machine that does nothing else; here, that it does.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trouble_scene, "GOES_ON_WITHIN", 600.0)
        patch.setattr(trouble_scene, "GIVE_UP", 600.0)
        with trouble.scenes(home, SEED, workers=2, lease_seconds=LEASE) as made:
            yield made


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(partial(trouble.away, seconds=5.0), id="away-5s-busy"),
        pytest.param(DELETED, id="topic-deleted"),
        pytest.param(trouble.wiped, id="wiped"),
        pytest.param(LAST, id="sigstop"),
    ],
)
def test_work_goes_on_by_itself(scene: Callable[[], Scene], act: trouble.Act) -> None:
    one = scene()
    trouble.happens(one, act, busy=True)
    if act not in (DELETED, trouble.wiped):
        # What aiokafka says of topics that are no more is counted by the scenarios of `make chaos`.
        one.was_quiet()
    if not one.lossy and act is not LAST:
        # Nor did the sweep find what no trouble of this stage had lost so far.
        assert oracle.swept(one.stage.parts) == []
    print(one.figures)
    assert one.wrong == []


def test_nothing_was_lost_or_made_twice_through_all_of_it(scene: Callable[[], Scene]) -> None:
    one = scene()
    # A topic was deleted and all was wiped meanwhile.
    one.lossy = True
    one.proves()
    print(one.figures)
    assert one.wrong == []
    assert one.figures["edits"]
