"""The whole job with its tables on a SQL Server: Kafka, the board, the supervised poller and worker; and the proof."""

from pathlib import Path

import pytest

from connectors.database import sqlserver as database_sqlserver
from streams import settings
from streams.demo import stage as demo

ORDERS, SEED = 90, 7

pytestmark = pytest.mark.sqlserver


def test_a_day_of_changes_arrives_and_is_proved(sqlserver: str, tmp_path: Path) -> None:
    base = settings.Settings(home=tmp_path, database=sqlserver)
    with demo.stage(demo.settings_of(base, minute=3.0), orders=ORDERS, seed=SEED) as shown:
        assert isinstance(shown.parts.db, database_sqlserver.SqlServerDatabase)
        assert shown.parts.orders.source_rows() >= ORDERS
        demo.settle(shown, on_look=lambda seen: None)
        assert shown.prove().holds
        demo.apply(shown.parts, demo.script(shown.parts, orders=ORDERS, seed=SEED))
        demo.settle(shown, on_look=lambda seen: None)
        assert shown.prove().holds
        assert not demo.pass_after_unwatched_edit(shown.parts).changes
