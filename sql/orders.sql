-- name: scan
-- Every row with an identity: its canonical text in pieces, and the hash of its snapshot.
SELECT s.record_uuid, p.row_hash, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
WHERE s.record_uuid IS NOT NULL

-- name: scan_chosen
-- The same for the rows of some raw customer names, one PO number, one season; a filter whose flag is 0 chooses all.
SELECT s.record_uuid, p.row_hash, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
WHERE s.record_uuid IS NOT NULL
  AND (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
  AND (CAST(? AS INT) = 0 OR TRIM(s.[PO NUMBER]) = ?)
  AND (CAST(? AS INT) = 0 OR TRIM(s.[AAG SEASON]) = ?)
  AND (CAST(? AS INT) = 0 OR TRIM(s.[CUSTOMER SEASON]) = ?)

-- name: rows
-- The canonical text of chosen rows, and what their snapshot says.
SELECT s.record_uuid, p.row_hash, p.sync_state, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
WHERE s.record_uuid IN ({marks})

-- name: rows_without_identity
-- Rows that have no record_uuid, as canonical text in pieces.
SELECT {texts} FROM ORDERS_UNIFIED AS s WHERE s.record_uuid IS NULL

-- name: duplicates
-- Identities that more than one row claims.
SELECT s.record_uuid, COUNT(*) AS copies
FROM ORDERS_UNIFIED AS s
WHERE s.record_uuid IS NOT NULL
GROUP BY s.record_uuid
HAVING COUNT(*) > 1

-- name: deleted
-- Orders that have a snapshot and are in the source no more. NOT IN reads the source once, with or without an index.
SELECT p.record_uuid, p.row_hash, p.customer, p.sync_state
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED'
  AND p.record_uuid NOT IN (SELECT s.record_uuid FROM ORDERS_UNIFIED AS s WHERE s.record_uuid IS NOT NULL)

-- name: customers
-- The raw customer names of the source.
SELECT s.[CUSTOMER NAME] AS name FROM ORDERS_UNIFIED AS s GROUP BY s.[CUSTOMER NAME]

-- name: customers_of
-- Whose these orders were, as their snapshots know.
SELECT p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid IN ({marks}) GROUP BY p.customer

-- name: identities_of
-- The orders of these customers, as their snapshots know.
SELECT p.record_uuid FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.customer IN ({marks})

-- name: source_rows
-- How many rows the source has.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED

-- name: known_rows
-- How many orders of the source have a snapshot.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE row_hash <> 'DELETED'

-- name: unsettled
-- Planned mutations of all that is on its way.
SELECT COALESCE(SUM(planned_mutations), 0) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING'

-- name: ensure_snapshot
-- An empty snapshot, for an order that has none: it differs from every row, and a row that left is missed by it.
INSERT INTO ORDERS_UNIFIED_SNAPSHOT (record_uuid, row_hash, [AAG ORDER NUMBER], snapshot_date, customer_filter, customer,
  version, settled_version, failed_version, sync_state, planned_mutations)
SELECT CAST(? AS NVARCHAR(36)), '', '', CAST(? AS NVARCHAR(26)), 'ALL', CAST(? AS NVARCHAR(255)), 0, 0, 0, 'WAITING', 0
WHERE NOT EXISTS (SELECT 1 FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid = ?)

-- name: move_snapshot
-- The snapshot follows what Kafka has confirmed; a version that reached its end meanwhile keeps that end.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET row_hash = ?, version = ?, customer = ?, batch_id = ?, snapshot_date = ?, planned_mutations = ?,
  [AAG ORDER NUMBER] = ?, [CUSTOMER NAME] = ?, [CUSTOMER STYLE] = ?, [CUSTOMER COLOUR DESCRIPTION] = ?,
  [PO NUMBER] = ?, [CUSTOMER ALT PO] = ?, [ACTIVE] = ?, [TOTAL_QTY] = ?,
  sync_state = CASE WHEN settled_version >= ? OR failed_version >= ? THEN sync_state ELSE ? END
WHERE record_uuid = ? AND version < ?

-- name: rebaseline
-- The same row under another scheme or column list: its hash changes, its version does not.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ? WHERE record_uuid = ? AND row_hash = ?

-- name: settle
-- A version arrived: its order is in sync, or excluded; a newer one on its way keeps its order waiting. Where the newer
-- one was silent (no batch), because nothing was thought to be on the board, the order has to be detected again. So it
-- has where the snapshot lags behind: if its poller died, the row may equal the old snapshot again by now.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET settled_version = ?, settled_hash = ?,
  row_hash = CASE WHEN version > ? AND batch_id IS NULL OR version < ? THEN '' ELSE row_hash END,
  sync_state = CASE WHEN failed_version > ? THEN sync_state WHEN version <= ? THEN ?
    WHEN batch_id IS NULL THEN 'WAITING' ELSE sync_state END
WHERE record_uuid = ? AND settled_version <= ?

-- name: fail
-- A version did not arrive, or only in part; where a newer one was silent, or the snapshot lags behind, its order has to
-- be detected again.
UPDATE ORDERS_UNIFIED_SNAPSHOT
SET failed_version = ?,
  row_hash = CASE WHEN version > ? AND batch_id IS NULL OR version < ? THEN '' ELSE row_hash END,
  sync_state = CASE WHEN version <= ? THEN 'FAILED' WHEN batch_id IS NULL THEN 'WAITING' ELSE sync_state END
WHERE record_uuid = ? AND settled_version < ? AND failed_version <= ?

-- name: settled_versions
-- The newest version of these orders that arrived.
SELECT record_uuid, settled_version FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid IN ({marks})

-- name: states
-- Orders of the source by customer and state.
SELECT p.customer, p.sync_state, COUNT(*) AS orders, SUM(p.planned_mutations) AS mutations
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED'
GROUP BY p.customer, p.sync_state

-- name: waiting_deletes
-- Deletions that are on their way.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE row_hash = 'DELETED' AND sync_state = 'WAITING'

-- name: oldest_waiting
-- When the pass began that found the oldest change that waits.
SELECT MIN(b.start_time) AS waiting_since
FROM MON_BatchProcessing AS b
JOIN (SELECT DISTINCT p.batch_id FROM ORDERS_UNIFIED_SNAPSHOT AS p
  WHERE p.sync_state = 'WAITING' AND p.batch_id IS NOT NULL) AS w ON w.batch_id = b.batch_id

-- name: repair_failed
-- An order that was in sync, and whose repair at the same version failed.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'FAILED' WHERE record_uuid = ? AND version = ? AND settled_version = ?

-- name: detect_again
-- An empty hash differs from every row. A newer version that is on its way is the next try anyway.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0
WHERE record_uuid = ? AND version = ? AND row_hash <> 'DELETED'

-- name: snapshot
-- The newest version of an order, and whether its row has left the source.
SELECT p.version, p.row_hash, p.settled_version FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = ?
