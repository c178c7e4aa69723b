"""Fills a new file with the board of the contract; a file with boards stays unchanged."""

import csv
from importlib import resources

from connectors.simulator import config, store

FIRST_GROUP = "topics"


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def seed(state: store.Store, settings: config.Config) -> None:
    """Add both boards with one group each, their columns and status labels. `setup` creates the record_uuid column."""
    if state.boards:
        return
    boards = {
        "board": store.Board(settings.board_id, "Customer Master Schedule", None),
        "subitem": store.Board(settings.subitem_board_id, "Subitems of Customer Master Schedule", settings.board_id),
    }
    with state.transaction():
        state.first_item_id(store.FIRST_ITEM_ID)
        for kind, board in boards.items():
            state.add_board(board)
            title = "Group Title" if kind == "board" else "Subitems"
            state.add_group(store.Group(board.id, FIRST_GROUP, title))
            for row in _rows(f"{kind}_columns.csv"):
                state.add_column(store.Column(board.id, row["column_id"], row["title"], row["type"]))
        for row in _rows("labels.csv"):
            board = boards[row["board"]]
            state.add_label(state.columns[board.id][row["column_id"]], row["label"])
