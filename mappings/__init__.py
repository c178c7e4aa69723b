"""What becomes what: pure functions beside their data.

`load()` reads board.yaml, customers.csv and values.csv, and tells every mistake at once. Then, for an order:

    items.convert           source row → valid, converted Order, or everything that is wrong with it
    items.board_columns     staging values → what the API is told of the item (subitem_columns: of a size)
    labels.check            may these labels be sent, and may new ones be made
    plan.plan_item, ...     desired against known → mutations
"""

from mappings.loading import Mappings, load

__all__ = ["Mappings", "load"]
