-- Identities that earlier versions of ordersync stored on SQLite as the source spelled them. SQL Server has a type for
-- them with one spelling.

-- name: misspelled
-- engine: sqlite
-- The number of orders whose identity is a UUID in another spelling than ours.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT AS s
WHERE (s.record_uuid <> upper(s.record_uuid) OR length(s.record_uuid) <> 36) AND {uuid_text} IS NOT NULL

-- name: respell_within
-- engine: sqlite
-- Spells the identities as ours inside a text that repeats them.
UPDATE {table} SET {holder} = REPLACE({holder}, {column}, {own_text})
WHERE ({column} <> upper({column}) OR length({column}) <> 36) AND {own_text} IS NOT NULL

-- name: respell
-- engine: sqlite
-- Spells the identities of a table as ours. A row whose identity another row has already stays.
UPDATE OR IGNORE {table} SET {column} = {own_text}
WHERE ({column} <> upper({column}) OR length({column}) <> 36) AND {own_text} IS NOT NULL

-- name: forget_twins
-- engine: sqlite
-- Removes the rows that stayed: the second row of an order that an earlier version took for two.
DELETE FROM {table} WHERE ({column} <> upper({column}) OR length({column}) <> 36) AND {own_text} IS NOT NULL

-- name: journalled
-- engine: sqlite
-- The mutations of every request.
SELECT r.request_key, r.mutations FROM SYNC_Requests AS r

-- name: respell_request
-- engine: sqlite
-- Replaces the mutations of a request; its body stays as it was sent.
UPDATE SYNC_Requests SET mutations = ? WHERE request_key = ?
