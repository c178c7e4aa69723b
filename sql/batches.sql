-- name: lock_batch
-- Locks a batch until the transaction ends, so that no other transaction counts it meanwhile.
UPDATE MON_BatchProcessing SET total_records = total_records WHERE batch_id = ?

-- name: batch_counts
-- The orders of a batch by status, and how many of them have an item.
SELECT s.stg_status, COUNT(*) AS orders, COUNT(s.stg_monday_item_id) AS items
FROM STG_MON_CustMasterSchedule AS s WHERE s.stg_batch_id = ? GROUP BY s.stg_status

-- name: batch_retries
-- The failed orders of a batch that ordersync retries by itself, and how many of them have an item.
SELECT COUNT(*) AS orders, COUNT(s.stg_monday_item_id) AS items FROM STG_MON_CustMasterSchedule AS s
WHERE s.stg_batch_id = ? AND s.stg_status = 'API_FAILED'
  AND (EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule AS e
      WHERE e.record_uuid = s.source_uuid AND e.version = s.version AND e.resolved_date IS NULL
        AND (e.next_retry_at IS NOT NULL OR (e.retryable = 1 AND e.max_retries_reached = 0)))
    OR EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule_Subitems AS f
      WHERE f.record_uuid = s.source_uuid AND f.version = s.version AND f.resolved_date IS NULL
        AND (f.next_retry_at IS NOT NULL OR (f.retryable = 1 AND f.max_retries_reached = 0))))

-- name: batch_sizes
-- The number of sizes of a batch that are on the board.
SELECT COUNT(*) AS n FROM STG_MON_CustMasterSchedule_Subitems AS s
WHERE s.stg_batch_id = ? AND s.stg_status IN ('API_SUCCESS', 'PROMOTED')

-- name: batch
-- One batch.
SELECT batch_id, total_records, status, start_time, end_time, staging_load_completed, items_creation_completed,
  subitems_creation_completed, promotion_completed, cleanup_completed
FROM MON_BatchProcessing WHERE batch_id = ?

-- name: open_batch
-- Inserts a batch, once.
INSERT INTO MON_BatchProcessing (batch_id, customer_name, batch_type, status, total_records, successful_records,
  failed_records, superseded_records, start_time, version, started_by)
SELECT CAST(? AS NVARCHAR(36)), CAST(? AS NVARCHAR(200)), 'FULL_BATCH', 'STARTED', CAST(? AS INT), 0, 0, 0,
  CAST(? AS NVARCHAR(26)), CAST(? AS BIGINT), CAST(? AS NVARCHAR(100))
WHERE NOT EXISTS (SELECT 1 FROM MON_BatchProcessing WHERE batch_id = ?)

-- name: confirm_batch
-- Notes that Kafka has confirmed all events of a batch.
UPDATE MON_BatchProcessing SET confirmed_at = ? WHERE batch_id = ?

-- name: unconfirmed_batches
-- Batches of earlier passes whose poller ended before Kafka had confirmed them.
SELECT batch_id FROM MON_BatchProcessing WHERE confirmed_at IS NULL AND version < ?

-- name: shrink_batch
-- Sets the total of a batch that lost events to the orders that arrived; the others were detected once more.
UPDATE MON_BatchProcessing
SET total_records = (SELECT COUNT(*) FROM STG_MON_CustMasterSchedule AS s
    WHERE s.stg_batch_id = MON_BatchProcessing.batch_id),
  processing_notes = ?
WHERE batch_id = ?

-- name: update_batch
-- Writes the counters and the state of a batch.
UPDATE MON_BatchProcessing
SET status = ?, total_records = ?, successful_records = ?, failed_records = ?, superseded_records = ?,
  orders_processed = ?, subitems_processed = ?, end_time = ?, duration_seconds = ?, staging_load_completed = ?,
  items_creation_completed = ?, subitems_creation_completed = ?, promotion_completed = ?, error_summary = ?
WHERE batch_id = ?

-- name: batches
-- The newest batches, the newest first.
SELECT q.batch_id, q.customer_name, q.status, q.total_records, q.successful_records, q.failed_records,
  q.superseded_records, q.start_time, q.end_time, q.version
FROM (SELECT b.batch_id, b.customer_name, b.status, b.total_records, b.successful_records, b.failed_records,
    b.superseded_records, b.start_time, b.end_time, b.version,
    ROW_NUMBER() OVER (ORDER BY b.version DESC, b.customer_name) AS rn
  FROM MON_BatchProcessing AS b) AS q
WHERE q.rn <= ? ORDER BY q.rn

-- name: active_batches
-- Batches that have not ended.
SELECT v.batch_id, v.customer_name, v.status, v.total_records, v.successful_records, v.failed_records,
  v.superseded_records, v.start_time
FROM VW_MON_ActiveBatches AS v ORDER BY v.start_time, v.customer_name
