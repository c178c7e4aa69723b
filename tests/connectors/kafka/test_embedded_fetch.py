"""A fetch is complete or leaves nothing, and happens once."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors import errors
from connectors.kafka import embedded_fetch

PROOF = "kafka-clients-4.3.1.jar"


class FakeDownload:
    """Stands for the network: puts jars where jgo would, or fails as it would."""

    def __init__(self, *outcomes: list[str] | Exception) -> None:
        self.calls = 0
        self._outcomes = outcomes

    def __call__(self, repository: Path) -> list[Path]:
        outcome = self._outcomes[self.calls]
        self.calls += 1
        repository.mkdir()
        names = ["half-written.jar"] if isinstance(outcome, Exception) else outcome
        for name in names:
            (repository / name).write_text(name)
        if isinstance(outcome, Exception):
            raise outcome
        return [repository / name for name in names]


Use = Callable[[FakeDownload], FakeDownload]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def install(download: FakeDownload) -> FakeDownload:
        monkeypatch.setattr(embedded_fetch, "_download", download)
        return download

    return install


def test_jars_are_fetched_once(use: Use, tmp_path: Path) -> None:
    download = use(FakeDownload([PROOF, "scala.jar"]))
    folder = embedded_fetch.jars(tmp_path)
    assert {jar.name for jar in folder.iterdir()} == {PROOF, "scala.jar"}
    assert embedded_fetch.jars(tmp_path) == folder
    assert download.calls == 1


def test_simultaneous_callers_share_one_fetch(use: Use, tmp_path: Path) -> None:
    download = use(FakeDownload([PROOF]))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(embedded_fetch.jars(tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert len(set(found)) == 1
    assert download.calls == 1


def test_an_interrupted_fetch_starts_from_nothing(use: Use, tmp_path: Path) -> None:
    (tmp_path / "partial-of-a-killed-process").mkdir()
    download = use(FakeDownload(ConnectionError("reset"), [PROOF]))
    assert [jar.name for jar in embedded_fetch.jars(tmp_path).iterdir()] == [PROOF]
    assert download.calls == 2
    assert not list(tmp_path.glob("partial-*"))


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (ConnectionError("no route"), "no route"),
        (RuntimeError("not found in remote repositories"), "not found"),
        (["kafka-clients-3.9.1.jar"], f"{PROOF} is not among the 1 jars"),
    ],
)
def test_a_fetch_that_fails_says_so_and_leaves_no_file(
    use: Use, tmp_path: Path, outcome: list[str] | Exception, reason: str
) -> None:
    use(FakeDownload(outcome, outcome))
    with pytest.raises(errors.Misconfigured, match=reason) as refused:
        embedded_fetch.jars(tmp_path)
    assert refused.value.code == "JARS"
    assert [path.name for path in tmp_path.iterdir()] == ["fetch.lock"]


def test_without_a_network_jgo_fails_in_a_way_that_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(errors.Misconfigured, match="the jars of Apache Kafka cannot be fetched"):
        embedded_fetch.jars(tmp_path)
