"""The worker's name in the consumer group, over its lives."""

from pathlib import Path

import pytest

from streams.delivery import exits, membership


def test_a_name_is_kept_until_a_life_is_ended_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "worker-1.member"
    ended: list[tuple[int, str]] = []
    monkeypatch.setattr(exits, "end_process", lambda code, why: ended.append((code, why)))
    first = membership.Member(path, "worker-1")
    assert first.name == membership.Member(path, "worker-1").name == "worker-1.1"
    first.end(4, "it does not consume")
    assert ended == [(4, "it does not consume")]
    assert membership.Member(path, "worker-1").name == "worker-1.2"


def test_a_file_that_lost_its_content_gives_a_name_that_nobody_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "worker-1.member"
    monkeypatch.setattr(exits, "end_process", lambda code, why: None)
    former = {f"worker-1.{life}" for life in range(1, 1000)}
    path.write_text("")
    member = membership.Member(path, "worker-1")
    assert member.name not in former
    # And its next life has a name of its own again.
    member.end(4, "it does not consume")
    assert membership.Member(path, "worker-1").name not in {*former, member.name}
