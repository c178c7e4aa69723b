-- Identities that earlier versions of ordersync stored on SQLite as the source spelled them. SQL Server has a type for
-- them, with one spelling.

-- name: misspelled
-- engine: sqlite
-- The identities of a table that may be UUIDs in another spelling than ours.
SELECT DISTINCT {key} AS spelling FROM {table} WHERE {key} <> upper({key}) OR length({key}) <> 36

-- name: respell_within
-- Spells an identity as ours inside a text that repeats it.
UPDATE {table} SET {holder} = REPLACE({holder}, ?, ?) WHERE {key} = ?

-- name: respell
-- Spells an identity as ours.
UPDATE {table} SET {key} = ? WHERE {key} = ?

-- name: forget_twin
-- Removes the second row of an order that an earlier version took for two orders.
DELETE FROM {table} WHERE {key} = ?

-- name: journalled
-- The mutations of every request.
SELECT r.request_key, r.mutations FROM SYNC_Requests AS r

-- name: respell_request
-- Replaces the mutations of a request; its body stays as it was sent.
UPDATE SYNC_Requests SET mutations = ? WHERE request_key = ?
