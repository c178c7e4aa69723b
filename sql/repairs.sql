-- name: settled_orders
-- The snapshot rows of these orders, with the staged row of the settled version.
SELECT p.record_uuid, p.customer, p.version, p.settled_version, p.row_hash AS known_hash, p.sync_state,
  s.stg_id, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id, s.row_hash, s.source_row, s.update_operation,
  s.[CUSTOMER] AS staged_customer
FROM ORDERS_UNIFIED_SNAPSHOT AS p
LEFT JOIN STG_MON_CustMasterSchedule AS s ON s.source_uuid = p.record_uuid AND s.version = p.settled_version
WHERE p.record_uuid IN ({marks})

-- name: last_rows
-- The source row of the newest version of each of these orders that is staged, or of the settled one.
SELECT p.record_uuid, p.customer, p.[AAG ORDER NUMBER] AS order_number,
  COALESCE(n.source_row, s.source_row) AS source_row
FROM ORDERS_UNIFIED_SNAPSHOT AS p
LEFT JOIN STG_MON_CustMasterSchedule AS n ON n.source_uuid = p.record_uuid AND n.version = p.version
LEFT JOIN STG_MON_CustMasterSchedule AS s ON s.source_uuid = p.record_uuid AND s.version = p.settled_version
WHERE p.record_uuid IN ({marks})

-- name: in_source
-- The identities among these that the source has.
SELECT {uuid_text} AS record_uuid FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IN ({marks})

-- name: wait_again
-- Sets an order whose settled version is about to be re-emitted to WAITING, from this time on; also one whose repair
-- was refused. An order with a newer version keeps its state.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'WAITING', planned_mutations = 1, snapshot_date = ?
WHERE record_uuid = ? AND settled_version = ? AND version <= settled_version
  AND sync_state IN ('IN_SYNC', 'EXCLUDED', 'FAILED')

-- name: waiting_again
-- Orders whose re-emitted settled version is on its way.
SELECT p.record_uuid, p.snapshot_date FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.sync_state = 'WAITING' AND p.settled_version >= p.version AND p.row_hash <> ''

-- name: waiting_since
-- Since when these orders are on their way.
SELECT p.record_uuid, p.snapshot_date FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.sync_state = 'WAITING' AND p.record_uuid IN ({marks})

-- name: still_waiting
-- The number of these orders that are on their way.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING' AND record_uuid IN ({marks})

-- name: detect_again
-- Has an order detected once more whose tables do not prove that it is in sync: an empty hash differs from every row.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0, sync_state = 'WAITING'
WHERE record_uuid = ? AND row_hash <> 'DELETED'

-- name: forget_staged
-- Removes staged versions of an order that no pass can have given.
DELETE FROM STG_MON_CustMasterSchedule WHERE source_uuid = ? AND version > ?

-- name: forget_staged_sizes
-- The same for its sizes.
DELETE FROM STG_MON_CustMasterSchedule_Subitems WHERE source_uuid = ? AND version > ?

-- name: void_production
-- An order that production has in such a version: any later version replaces it.
UPDATE MON_CustMasterSchedule SET version = 0 WHERE source_uuid = ? AND version > ?

-- name: void_production_sizes
-- The same for its sizes.
UPDATE MON_CustMasterSchedule_Subitems SET version = 0 WHERE record_uuid = ? AND version > ?

-- name: void_ledger
-- The same for its item and subitems.
UPDATE SYNC_Ledger SET version = 0 WHERE record_uuid = ? AND version > ?

-- name: void_snapshot
-- The same for its snapshot row; the next pass detects the order again, and no failure of such a version counts.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0, sync_state = 'WAITING', version = 0,
  settled_version = 0, failed_version = 0
WHERE record_uuid = ? AND row_hash <> 'DELETED'
