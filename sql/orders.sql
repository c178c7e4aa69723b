-- A source row may spell its record_uuid in any way: `uuid_text` is its canonical form, `plain_text` the cell as it is
-- where that costs less. A snapshot row is searched by the cell (p), and if that finds none by its canonical form (q).

-- name: scan
-- Every source row: identity (NULL without one), hash of the snapshot row, canonical text in pieces.
SELECT COALESCE(p.record_uuid, q.record_uuid, {uuid_text}) AS record_uuid, COALESCE(p.row_hash, q.row_hash) AS row_hash,
  {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {plain_text}
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS q ON q.record_uuid = CASE WHEN p.record_uuid IS NULL THEN {uuid_text} END

-- name: scan_chosen
-- The same for some raw customer names, PO numbers and seasons; a filter whose flag is 0 chooses all rows.
SELECT COALESCE(p.record_uuid, q.record_uuid, {uuid_text}) AS record_uuid, COALESCE(p.row_hash, q.row_hash) AS row_hash,
  {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {plain_text}
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS q ON q.record_uuid = CASE WHEN p.record_uuid IS NULL THEN {uuid_text} END
WHERE (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
  AND (CAST(? AS INT) = 0 OR s.[PO NUMBER] IN ({po_number_marks}))
  AND (CAST(? AS INT) = 0 OR s.[AAG SEASON] IN ({aag_season_marks}))
  AND (CAST(? AS INT) = 0 OR s.[CUSTOMER SEASON] IN ({customer_season_marks}))

-- name: rows
-- Hash and state of the snapshot row, and the canonical text in pieces, of source rows that have these spellings.
SELECT COALESCE(p.record_uuid, q.record_uuid, {uuid_text}) AS record_uuid, COALESCE(p.row_hash, q.row_hash) AS row_hash,
  COALESCE(p.sync_state, q.sync_state) AS sync_state, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {plain_text}
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS q ON q.record_uuid = CASE WHEN p.record_uuid IS NULL THEN {uuid_text} END
WHERE s.record_uuid IN ({marks})

-- name: rows_spelled
-- The same of source rows that spell these identities in another way.
SELECT {uuid_text} AS record_uuid, p.row_hash, p.sync_state, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
WHERE {uuid_text} IN ({marks})

-- name: rows_without_identity
-- Source rows without a record_uuid, or with one that is no UUID: that cell, and their canonical text in pieces.
SELECT {shown_text}, {texts} FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IS NULL

-- name: duplicates
-- Identities that more than one source row has, in whatever spelling.
SELECT {group_text} AS record_uuid, COUNT(*) AS copies
FROM ORDERS_UNIFIED AS s
WHERE s.record_uuid IS NOT NULL
GROUP BY {group_text}
HAVING COUNT(*) > 1

-- name: identity_spellings
-- Every spelling of these identities in the source.
SELECT {uuid_text} AS record_uuid, {shown_text} AS spelling FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IN ({marks})

-- name: deleted
-- Orders that have a snapshot row and have left the source. NOT IN reads the source once, with or without an index.
SELECT p.record_uuid, p.row_hash, p.customer, p.sync_state
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED'
  AND p.record_uuid NOT IN (SELECT {key_text} FROM ORDERS_UNIFIED AS s WHERE {key_text} IS NOT NULL)

-- name: customers
-- The raw customer names of the source.
SELECT {name_text} AS name FROM ORDERS_UNIFIED AS s GROUP BY s.[CUSTOMER NAME]

-- name: spellings
-- The values of a column of the source, as it writes them.
SELECT {value_text} AS spelling FROM ORDERS_UNIFIED AS s WHERE {s.column} IS NOT NULL GROUP BY {s.column}

-- name: customers_of
-- The customers of these orders in their snapshot rows.
SELECT p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid IN ({marks}) GROUP BY p.customer

-- name: identities_of
-- The identities of the snapshot rows of these customers.
SELECT p.record_uuid FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.customer IN ({marks})

-- name: with_numbers
-- Whether any row has a number other than 0, column by column.
SELECT {marks} FROM ORDERS_UNIFIED AS s

-- name: source_rows
-- The number of source rows.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED

-- name: known_rows
-- The number of orders that have a snapshot row and are in the source.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE row_hash <> 'DELETED'

-- name: unsettled
-- The planned mutations of all orders on their way.
SELECT COALESCE(SUM(planned_mutations), 0) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING'

-- name: ensure_snapshot
-- Inserts an empty snapshot row for an order without one: it differs from every row, and the order counts as deleted if
-- its row has left.
INSERT INTO ORDERS_UNIFIED_SNAPSHOT (record_uuid, row_hash, [AAG ORDER NUMBER], snapshot_date, customer_filter, customer,
  version, settled_version, failed_version, sync_state, planned_mutations)
SELECT CAST(? AS NVARCHAR(36)), '', '', CAST(? AS NVARCHAR(26)), 'ALL', CAST(? AS NVARCHAR(255)), 0, 0, 0, 'WAITING', 0
WHERE NOT EXISTS (SELECT 1 FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid = ?)

-- name: move_snapshot
-- Moves a snapshot row to the version that Kafka has confirmed; a version that has ended meanwhile keeps its end.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET row_hash = ?, version = ?, customer = ?, batch_id = ?, snapshot_date = ?, planned_mutations = ?,
  [AAG ORDER NUMBER] = ?, [CUSTOMER NAME] = ?, [CUSTOMER STYLE] = ?, [CUSTOMER COLOUR DESCRIPTION] = ?,
  [PO NUMBER] = ?, [CUSTOMER ALT PO] = ?, [ACTIVE] = ?, [TOTAL_QTY] = ?,
  sync_state = CASE WHEN settled_version >= ? OR failed_version >= ? THEN sync_state ELSE ? END
WHERE record_uuid = ? AND version < ?

-- name: rebaseline
-- Replaces the hash of an unchanged row under another baseline; its version stays.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ? WHERE record_uuid = ? AND row_hash = ?

-- name: rebaseline_settled
-- The same for the hash of the settled version, if the row is as it was settled.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET settled_hash = ?
WHERE record_uuid = ? AND (settled_hash = ? OR settled_version = version AND sync_state IN ('IN_SYNC', 'EXCLUDED'))

-- name: rebaseline_production
-- The same in production.
UPDATE MON_CustMasterSchedule SET row_hash = ?
WHERE source_uuid = ? AND (row_hash = ? OR version = (SELECT p.version FROM ORDERS_UNIFIED_SNAPSHOT AS p
  WHERE p.record_uuid = MON_CustMasterSchedule.source_uuid AND p.settled_version = p.version
    AND p.sync_state = 'IN_SYNC'))

-- name: rebaseline_staged
-- The same for the staged version, out of which a repair takes the hash.
UPDATE STG_MON_CustMasterSchedule SET row_hash = ?
WHERE source_uuid = ? AND (row_hash = ? OR version = (SELECT p.version FROM ORDERS_UNIFIED_SNAPSHOT AS p
  WHERE p.record_uuid = STG_MON_CustMasterSchedule.source_uuid AND p.settled_version = p.version
    AND p.sync_state IN ('IN_SYNC', 'EXCLUDED')))

-- name: settle
-- Notes that a version arrived: its order is in sync, or excluded, and one with a newer version on its way still waits.
-- The order is detected once more where the newer version emitted no event (no batch), because the board seemed to have
-- no item; and where the snapshot row lags behind, because its poller ended, and the source row may equal the old hash
-- by now.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET settled_version = ?, settled_hash = ?,
  row_hash = CASE WHEN version > ? AND batch_id IS NULL OR version < ? THEN '' ELSE row_hash END,
  sync_state = CASE WHEN failed_version > ? THEN sync_state WHEN version <= ? THEN ?
    WHEN batch_id IS NULL THEN 'WAITING' ELSE sync_state END
WHERE record_uuid = ? AND settled_version <= ?

-- name: fail
-- Notes that a version failed, in whole or in part. The order is detected once more where a newer version emitted no
-- event, or where the snapshot row lags behind.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET failed_version = ?,
  row_hash = CASE WHEN version > ? AND batch_id IS NULL OR version < ? THEN '' ELSE row_hash END,
  sync_state = CASE WHEN version <= ? THEN 'FAILED' WHEN batch_id IS NULL THEN 'WAITING' ELSE sync_state END
WHERE record_uuid = ? AND settled_version < ? AND failed_version <= ?

-- name: settled_versions
-- The settled version of each of these orders.
SELECT record_uuid, settled_version FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid IN ({marks})

-- name: states
-- Orders of the source by customer and state.
SELECT p.customer, p.sync_state, COUNT(*) AS orders, SUM(p.planned_mutations) AS mutations
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED'
GROUP BY p.customer, p.sync_state

-- name: waiting_deletes
-- The number of deletions on their way.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE row_hash = 'DELETED' AND sync_state = 'WAITING'

-- name: oldest_waiting
-- The start of the pass that found the oldest change on its way.
SELECT MIN(b.start_time) AS waiting_since
FROM MON_BatchProcessing AS b
JOIN (SELECT DISTINCT p.batch_id FROM ORDERS_UNIFIED_SNAPSHOT AS p
  WHERE p.sync_state = 'WAITING' AND p.batch_id IS NOT NULL) AS w ON w.batch_id = b.batch_id

-- name: repair_failed
-- Notes that the repair of an order at its settled version failed.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'FAILED' WHERE record_uuid = ? AND version = ? AND settled_version = ?

-- name: detect_again
-- Has an order detected once more: an empty hash differs from every row. A newer version on its way is the next try
-- anyway.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0
WHERE record_uuid = ? AND version = ? AND row_hash <> 'DELETED'

-- name: snapshot
-- The newest version of an order, its hash (DELETED once its row left) and its settled version.
SELECT p.version, p.row_hash, p.settled_version FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = ?
