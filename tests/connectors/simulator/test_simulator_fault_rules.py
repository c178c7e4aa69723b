"""When a rule strikes: by ordinal, by seeded rate, and only as long as it is set."""

import pytest
from pydantic import ValidationError

from connectors.simulator import faults
from tests.connectors.simulator.conftest import Api, Start


async def test_queries_have_ordinals_of_their_own(start: Start) -> None:
    api = await start(fault_rules=(faults.Rule(kind="error_500_before", at=(1,), of="query"),))
    assert (await api.create()).status == 200
    assert (await api.post("{ me { id } }")).status == 500
    assert (await api.post("{ me { id } }")).status == 200


async def test_a_rate_strikes_the_same_requests_in_every_run(start: Start) -> None:
    async def run(seed: int) -> list[int]:
        api = await start(seed=seed, fault_rules=(faults.Rule(kind="error_500_before", rate=0.3),))
        return [(await api.create()).status for _ in range(40)]

    first = await run(7)
    assert await run(7) == first
    assert await run(8) != first
    assert 4 <= first.count(500) <= 20


async def test_faults_can_be_set_and_lifted_while_it_runs(api: Api) -> None:
    rule = {"kind": "error_500_before", "at": [1, 2]}
    await api.create()
    assert (await api.admin("admin/faults", [rule])).json == {"rules": 1}
    assert [(await api.create()).status for _ in range(3)] == [500, 500, 200]
    await api.admin("admin/faults", [rule])
    await api.admin("admin/faults", [])
    assert (await api.create()).status == 200
    assert (await api.admin("admin/faults", [{"kind": "earthquake", "at": [1]}])).status == 400


def test_a_rule_that_cannot_strike_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot strike a query"):
        faults.Rule(kind="null_alias", at=(1,), of="query")
    with pytest.raises(ValidationError, match="either"):
        faults.Rule(kind="slow")
    with pytest.raises(ValidationError, match="either"):
        faults.Rule(kind="slow", at=(1,), rate=0.1)
