"""The simulator as a process: ready line, signals, kill -9 and back on the same file."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]

Spawn = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "connectors.simulator", "--state", str(tmp_path / "board.sqlite")]
        process = subprocess.Popen(
            [*command, "--latency-ms", "0", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        return process, ready["url"]

    yield run
    for process in running:
        process.kill()
        process.wait()
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.stdout.close()


def _post(url: str, query: str, key: str | None = None) -> tuple[Any, dict[str, str]]:
    headers = {"Authorization": "t", **({"Idempotency-Key": key} if key else {})}
    request = urllib.request.Request(url, json.dumps({"query": query}).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response), dict(response.headers)


def _board(url: str) -> Any:
    with urllib.request.urlopen(url.replace("/v2", "/admin/board"), timeout=60) as response:
        return json.load(response)


CREATE = (
    'mutation { a: create_item(board_id: 9200517329, item_name: "Polo", create_labels_if_missing: true, '
    'column_values: "{\\"dropdown_mkr5tgaa\\": {\\"labels\\": [\\"S/M\\"]}}") { id } '
    'g: create_group(board_id: 9200517329, group_name: "GREYSON") { id } }'
)


def test_after_kill_9_the_board_and_the_keys_are_as_they_were(spawn: Spawn) -> None:
    process, url = spawn()
    first, _ = _post(url, CREATE, key="k")
    before = _board(url)
    assert (len(before["items"]), len(before["groups"])) == (1, 2)
    process.kill()
    process.wait()
    port = url.split(":")[2].split("/")[0]
    _, again = spawn("--port", port)
    assert again == url
    assert _board(url) == before
    replayed, headers = _post(url, CREATE, key="k")
    assert (replayed, headers["Idempotency-Replayed"]) == (first, "true")
    assert _board(url) == before
    second, _ = _post(url, CREATE, key="k2")
    assert int(second["data"]["a"]["id"]) > int(first["data"]["a"]["id"])
    with urllib.request.urlopen(url.replace("/v2", "/admin/stats"), timeout=60) as response:
        assert json.load(response)["calls_today"] == 3.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told(spawn: Spawn, number: signal.Signals) -> None:
    process, url = spawn()
    _post(url, CREATE)
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    assert process.stdout
    assert process.stdout.read() == "", "the ready line is the only one"


def test_it_ends_with_its_parent_if_asked(spawn: Spawn) -> None:
    process, _ = spawn("--with-parent")
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=60) == 0


def test_settings_and_faults_come_from_the_command_line(spawn: Spawn, tmp_path: Path) -> None:
    rules = tmp_path / "faults.json"
    rules.write_text('[{"kind": "throttle_200", "at": [1], "seconds": 9}]', "utf-8")
    _, url = spawn("--faults", str(rules), "--minute", "2", "--complexity-per-minute", "90000", "--board", "77")
    told, headers = _post(url, 'mutation { create_item(board_id: 77, item_name: "x") { id } }')
    assert told["errors"][0]["extensions"]["retry_in_seconds"] == 9
    assert '"complexityMinute";q=90000;w=2;' in headers["RateLimit-Policy"]


def test_nonsense_on_the_command_line_is_told_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "connectors.simulator", "--state", str(tmp_path / "b"), "--faults"]
    for rules in ('[{"kind": "earthquake", "at": [1]}]', str(tmp_path / "absent.json")):
        done = subprocess.run([*command, rules], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr
