"""A new file gets the board as the contract describes it; an old one is left as it is."""

import csv
from importlib import resources

from connectors.simulator import config, store

FIRST_GROUP = "topics"


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def seed(state: store.Store, settings: config.Config) -> None:
    """Boards, one group each, columns and status labels. No record_uuid column: `create_column` makes it."""
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
