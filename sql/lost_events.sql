-- name: waiting_orders
-- The number of orders whose newest event is on its way or lost; a pass detects those with an empty hash anyway.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING' AND row_hash <> '' AND version <= ?

-- name: waiting_order_retries
-- The number of retryable failures of orders whose dead letter has not set a due time.
SELECT COUNT(*) AS n FROM ERR_MON_CustMasterSchedule
WHERE retryable = 1 AND resolved_date IS NULL AND next_retry_at IS NULL AND max_retries_reached = 0 AND version <= ?

-- name: waiting_size_retries
-- The number of retryable failures of sizes whose dead letter has not set a due time.
SELECT COUNT(*) AS n FROM ERR_MON_CustMasterSchedule_Subitems
WHERE retryable = 1 AND resolved_date IS NULL AND next_retry_at IS NULL AND max_retries_reached = 0 AND version <= ?

-- name: waiting_batches
-- The number of open batches that wait for an event; a batch that waits only for a retry is not among them.
SELECT COUNT(*) AS n FROM MON_BatchProcessing AS b WHERE b.end_time IS NULL AND b.version <= ?
  AND (COALESCE(b.orders_processed, 0) < COALESCE(b.total_records, 0)
    OR EXISTS (SELECT 1 FROM STG_MON_CustMasterSchedule AS s WHERE s.stg_batch_id = b.batch_id
      AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS')))

-- name: forget_orders
-- Has waiting orders detected once more: an empty hash differs from every row, and an order whose row left counts as
-- deleted. A re-emitted order has an old version, so it counts by the time since which it waits.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0
WHERE sync_state = 'WAITING' AND row_hash <> '' AND version <= ? AND (version > settled_version OR snapshot_date < ?)

-- name: schedule_lost_orders
-- Sets the due time of failures of orders whose dead letter was lost.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ?
WHERE retryable = 1 AND resolved_date IS NULL AND next_retry_at IS NULL AND max_retries_reached = 0 AND version <= ?

-- name: schedule_lost_sizes
-- Sets the due time of failures of sizes whose dead letter was lost.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ?
WHERE retryable = 1 AND resolved_date IS NULL AND next_retry_at IS NULL AND max_retries_reached = 0 AND version <= ?

-- name: open_batches
-- The same batches as in waiting_batches, of passes whose events have all been worked or are lost.
SELECT b.batch_id FROM MON_BatchProcessing AS b WHERE b.end_time IS NULL AND b.version <= ?
  AND (COALESCE(b.orders_processed, 0) < COALESCE(b.total_records, 0)
    OR EXISTS (SELECT 1 FROM STG_MON_CustMasterSchedule AS s WHERE s.stg_batch_id = b.batch_id
      AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS')))

-- name: ahead
-- Orders with a staged version newer than their snapshot row: the poller ended before it moved that row. The source row
-- may be unchanged, or may have left.
SELECT s.source_uuid AS record_uuid, MAX(s.[CUSTOMER]) AS customer FROM STG_MON_CustMasterSchedule AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.source_uuid
WHERE s.version <= ? AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS') AND s.version > COALESCE(p.version, 0)
GROUP BY s.source_uuid

-- name: forget_order
-- Has such an order detected once more; as a waiting one, so that it is not left out.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', sync_state = 'WAITING', planned_mutations = 0 WHERE record_uuid = ?

-- name: passed_over
-- Orders whose newest version failed while an older one was on its way.
SELECT p.record_uuid, p.version FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.sync_state = 'FAILED' AND p.version <= ?
  AND EXISTS (SELECT 1 FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = p.record_uuid
    AND s.version < p.version AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS'))
