"""The board as plain HTML for users: groups, items and their sizes, a hundred items on each page."""

import html
from collections.abc import Iterator

from connectors.simulator import service, store

PAGE = 100
SIZE_COLUMN, QUANTITY_COLUMN = "dropdown_mkrak7qp", "numeric_mkra7j8e"
SHOWN = ("text_mkr5wya6", "dropdown_mkr542p2", "text_mkr5ej2x", "color_mkr5j5pp", "date_mkr57811")

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 0; background: #f6f7fb; color: #323338; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; color: #0073ea; margin: 1.6rem 0 .4rem; }
p { color: #676879; margin: .3rem 0; } a { color: #0073ea; }
table { border-collapse: collapse; width: 100%; background: #fff; border: 1px solid #d0d4e4; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #e6e9ef; vertical-align: top; }
th { color: #676879; font-weight: 500; }
tr.archived, tr.deleted { color: #9699a6; text-decoration: line-through; }
.size { display: inline-block; background: #e6f1fd;
  border-radius: 4px; padding: 0 .4rem; margin: 0 .2rem .2rem 0 }
"""


class Markup(str):
    """Text that is HTML already; every other string is escaped by `tag`."""


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """An element; a trailing underscore in a name is removed (`class_`)."""
    listed = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    inner = "".join(child if isinstance(child, Markup) else html.escape(child) for child in children)
    return Markup(f"<{name}{listed}>{inner}</{name}>")


def render(api: service.Service, number: int) -> str:
    """The HTML of page `number`, counted from 1."""
    board = api.state.boards[api.settings.board_id]
    items = api.state.items(
        "board_id = ? ORDER BY group_id, id LIMIT ? OFFSET ?", (board.id, PAGE + 1, PAGE * (number - 1))
    )
    spent, quota = api.gate.complexity.spent(api.clock.monotonic()), api.gate.complexity.quota
    links = [tag("a", "← previous", href=f"/?page={number - 1}")] if number > 1 else []
    if len(items) > PAGE:
        links.append(tag("a", "next →", href=f"/?page={number + 1}"))
    body = tag(
        "main",
        tag("h1", board.name),
        tag(
            "p",
            f"{api.state.items_count(board.id):,} active items, page {number}. A simulator, not monday.com.",
        ),
        tag("p", f"{spent:,} of {quota:,} complexity spent this minute, {api.stats.mutations:,} mutations."),
        tag(
            "p",
            tag("a", "board as JSON", href="/admin/board"),
            " · ",
            tag("a", "counters", href="/admin/stats"),
        ),
        *_groups(api.state, items[:PAGE]),
        tag("p", *(part for link in links for part in (link, " "))),
    )
    head = tag("head", Markup('<meta charset="utf-8">'), tag("title", board.name), tag("style", Markup(STYLE)))
    return "<!doctype html>" + tag("html", head, tag("body", body), lang="en")


def _groups(state: store.Store, items: list[store.Item]) -> Iterator[Markup]:
    if not items:
        yield tag("p", "Nothing here yet.")
        return
    columns = state.columns[items[0].board_id]
    heading = tag("tr", *(tag("th", title) for title in ("Item", *(columns[c].title for c in SHOWN), "Sizes")))
    for group in state.groups[items[0].board_id].values():
        if rows := [_row(state, item) for item in items if item.group_id == group.id]:
            yield tag("h2", group.title)
            yield tag("table", heading, *rows)


def _row(state: store.Store, item: store.Item) -> Markup:
    cells = state.cells(item.id)
    texts = [cells[column].text if column in cells else "" for column in SHOWN]
    sizes = [_size(state, subitem) for subitem in state.subitems(item.id) if subitem.state == item.state]
    return tag("tr", tag("td", item.name), *(tag("td", t) for t in texts), tag("td", *sizes), class_=item.state)


def _size(state: store.Store, subitem: store.Item) -> Markup:
    cells = state.cells(subitem.id)
    label = cells[SIZE_COLUMN].text if SIZE_COLUMN in cells else subitem.name
    quantity = cells[QUANTITY_COLUMN].text if QUANTITY_COLUMN in cells else "?"
    return tag("span", f"{label} × {quantity}", class_="size")
