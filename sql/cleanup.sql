-- name: settled_orders
-- Staged versions of ended batches that ended before a time and are needed no longer: older than the settled version,
-- or of an order that left. They are in the order of their keys, above one key.
SELECT s.stg_id, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id FROM STG_MON_CustMasterSchedule AS s
WHERE s.stg_status = ? AND s.stg_id > ? AND s.stg_processed_date < ?
  AND EXISTS (SELECT 1 FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = s.source_uuid
    AND (s.version < p.settled_version OR (s.version = p.settled_version AND p.row_hash = 'DELETED')))
  AND NOT EXISTS (SELECT 1 FROM MON_BatchProcessing AS b WHERE b.batch_id = s.stg_batch_id AND b.end_time IS NULL)
ORDER BY s.stg_id

-- name: keep_counters
-- Freezes the counters of a batch, because the clean-up removes orders of it.
UPDATE MON_BatchProcessing SET cleanup_completed = ? WHERE batch_id = ? AND cleanup_completed IS NULL

-- name: remove_sizes
-- Removes the sizes of staged versions, before the versions themselves.
DELETE FROM STG_MON_CustMasterSchedule_Subitems WHERE stg_parent_stg_id IN ({marks})

-- name: remove_orders
-- Removes staged versions.
DELETE FROM STG_MON_CustMasterSchedule WHERE stg_id IN ({marks})

-- name: closed_requests
-- Requests with an outcome that were sent before a time, the oldest first.
SELECT r.request_key FROM SYNC_Requests AS r
WHERE r.first_sent_at < ? AND r.finished_at < ? ORDER BY r.first_sent_at

-- name: remove_requests
-- Removes requests whose outcome is on the ledger; the next writer needs those without one.
DELETE FROM SYNC_Requests WHERE request_key IN ({marks}) AND finished_at IS NOT NULL

-- name: rows
-- The number of rows of a table.
SELECT COUNT(*) AS n FROM {table}
