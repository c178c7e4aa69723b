-- name: newest
-- The newest actions first.
SELECT a.action_id, a.at, a.who, a.action, a.subject, a.reason, a.effect FROM SYNC_Actions AS a ORDER BY a.action_id DESC

-- name: next_id
-- The id of the next action.
SELECT COALESCE(MAX(a.action_id), 0) + 1 AS n FROM SYNC_Actions AS a

-- name: add
-- What a person told ordersync to do.
INSERT INTO SYNC_Actions (action_id, at, who, action, subject, reason, effect) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: note_effect
-- What came of it.
UPDATE SYNC_Actions SET effect = ? WHERE action_id = ?
