-- The whole state of the simulator. Items of every state stay in the table; a deleted one has state 'deleted'.
CREATE TABLE IF NOT EXISTS boards (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    parent_board_id INTEGER,
    items_count INTEGER NOT NULL DEFAULT 0
);

-- One row: the account of this board. A file of another board has another one.
CREATE TABLE IF NOT EXISTS account (id INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS board_groups (
    board_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (board_id, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS board_columns (
    board_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    type TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (board_id, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS labels (
    board_id INTEGER NOT NULL,
    column_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (board_id, column_id, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    board_id INTEGER NOT NULL,
    group_id TEXT NOT NULL,
    parent_id INTEGER,
    name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'active',
    created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS items_by_board ON items (board_id, state, id);
CREATE INDEX IF NOT EXISTS items_by_parent ON items (parent_id) WHERE parent_id IS NOT NULL;

-- `written` is the JSON as it was sent, `value` and `text` are as the API returns them, `folded` is for searches.
CREATE TABLE IF NOT EXISTS cells (
    item_id INTEGER NOT NULL,
    column_id TEXT NOT NULL,
    written TEXT NOT NULL,
    value TEXT NOT NULL,
    text TEXT NOT NULL,
    folded TEXT,
    PRIMARY KEY (item_id, column_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cells_by_text ON cells (column_id, folded) WHERE folded IS NOT NULL;

CREATE TABLE IF NOT EXISTS answers_by_key (
    key TEXT PRIMARY KEY,
    body_digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_expiry ON answers_by_key (expires);

-- In tenths of a call.
CREATE TABLE IF NOT EXISTS calls_by_day (day TEXT PRIMARY KEY, tenths INTEGER NOT NULL) WITHOUT ROWID;

-- What happened on each board, newest last; `data` is the JSON text of the API. store.py keeps the newest entries only.
CREATE TABLE IF NOT EXISTS activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    board_id INTEGER NOT NULL,
    item_id INTEGER,
    user_id INTEGER NOT NULL,
    event TEXT NOT NULL,
    entity TEXT NOT NULL,
    data TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS activity_by_board ON activity (board_id, id);

-- An item counts while it is active; the count rolls back with everything else.
CREATE TRIGGER IF NOT EXISTS item_appears AFTER INSERT ON items BEGIN
    UPDATE boards SET items_count = items_count + 1 WHERE id = NEW.board_id;
END;
CREATE TRIGGER IF NOT EXISTS item_changes_board AFTER UPDATE OF board_id ON items WHEN NEW.state = 'active' BEGIN
    UPDATE boards SET items_count = items_count - 1 WHERE id = OLD.board_id;
    UPDATE boards SET items_count = items_count + 1 WHERE id = NEW.board_id;
END;
CREATE TRIGGER IF NOT EXISTS item_goes AFTER UPDATE OF state ON items
WHEN OLD.state = 'active' AND NEW.state <> 'active' BEGIN
    UPDATE boards SET items_count = items_count - 1 WHERE id = NEW.board_id;
END;
