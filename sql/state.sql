-- name: get
-- One named value.
SELECT value FROM SYNC_State WHERE name = ?

-- name: set
-- Changes a named value.
UPDATE SYNC_State SET value = ?, updated_at = ? WHERE name = ?

-- name: add
-- Inserts a named value, once.
INSERT INTO SYNC_State (name, value, updated_at)
SELECT CAST(? AS NVARCHAR(100)), ?, CAST(? AS NVARCHAR(26))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_State WHERE name = ?)

-- name: between
-- The named values in a range of names, which is how a prefix is read.
SELECT name, value FROM SYNC_State WHERE name >= ? AND name < ? ORDER BY name

-- name: erase
-- Removes a named value.
DELETE FROM SYNC_State WHERE name = ?
