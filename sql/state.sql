-- name: get
-- One named fact.
SELECT value FROM SYNC_State WHERE name = ?

-- name: set
-- Changes a named fact.
UPDATE SYNC_State SET value = ?, updated_at = ? WHERE name = ?

-- name: add
-- Names a fact for the first time.
INSERT INTO SYNC_State (name, value, updated_at)
SELECT CAST(? AS NVARCHAR(100)), ?, CAST(? AS NVARCHAR(26))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_State WHERE name = ?)

-- name: between
-- The facts whose names lie in a range, which is how a prefix is asked for.
SELECT name, value FROM SYNC_State WHERE name >= ? AND name < ? ORDER BY name

-- name: erase
-- A fact that is none any more.
DELETE FROM SYNC_State WHERE name = ?
