"""The engines on which the contract runs; a missing one is skipped with its reason."""

import pytest

from tests.contracts import engines


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_the_contract_runs_on(engine: str) -> None:
    if reason := engines.why_not(engine):
        pytest.skip(reason)
    assert engine in [param.values[0] for param in engines.params()]
