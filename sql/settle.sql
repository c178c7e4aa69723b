-- name: remove_order
-- Makes room in production, or takes a deleted order out of it.
DELETE FROM MON_CustMasterSchedule WHERE source_uuid = ?

-- name: remove_sizes
-- The same for its sizes.
DELETE FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ?

-- name: promote_order
-- A settled order, as it was staged.
INSERT INTO MON_CustMasterSchedule ({columns}, [Item ID], source_uuid, version, row_hash, batch_id, promoted_at)
SELECT {s.columns}, s.[Item ID], s.source_uuid, s.version, s.row_hash, CAST(s.stg_batch_id AS NVARCHAR(36)),
  CAST(? AS NVARCHAR(26))
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: promote_sizes
-- Its sizes, with the ids that the board gave them.
INSERT INTO MON_CustMasterSchedule_Subitems (parent_item_id, subitem_id, subitem_board_id, [Size], [Order Qty],
  [Item ID], ORDER_QTY, AAG_ORDER_NUMBER, STYLE, COLOR, CUSTOMER, PO_NUMBER, CUSTOMER_ALT_PO, UNIT_OF_MEASURE,
  source_table, record_uuid, size_label, version, row_hash, promoted_at)
SELECT s.parent_item_id, s.subitem_id, s.subitem_board_id, s.stg_size_label, CAST(s.[Order Qty] AS NVARCHAR(20)),
  s.subitem_id, CAST(s.[Order Qty] AS NVARCHAR(20)), s.AAG_ORDER_NUMBER, s.STYLE, s.COLOR, s.CUSTOMER, s.PO_NUMBER,
  s.CUSTOMER_ALT_PO, s.UNIT_OF_MEASURE, s.source_table, s.source_uuid, s.stg_size_label, s.version, s.row_hash,
  CAST(? AS NVARCHAR(26))
FROM STG_MON_CustMasterSchedule_Subitems AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: order_promoted
-- The end of a staged order.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'PROMOTED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ?

-- name: sizes_promoted
-- The end of its sizes.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'PROMOTED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ?

-- name: older_sizes_superseded
-- The sizes of older versions that had not ended when a newer one arrived; before the orders themselves.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_parent_stg_id IN (SELECT s.stg_id FROM STG_MON_CustMasterSchedule AS s
  WHERE s.source_uuid = ? AND s.version < ? AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS'))

-- name: older_superseded
-- Those older versions: the newer one that arrived ends them. One that failed stays, with its ERR row.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version < ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS')

-- name: order_failed
-- A staged order that did not arrive.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'API_FAILED', stg_processed_date = ?, stg_error_message = ?,
  stg_retry_count = ?
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_FAILED')

-- name: size_failed
-- The one size that did not arrive.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'API_FAILED', stg_processed_date = ?,
  stg_error_message = ?, stg_retry_count = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ? AND stg_status <> 'PROMOTED'

-- name: staged_statuses
-- Where these staged versions stand.
SELECT source_uuid, version, stg_status, update_operation, [CUSTOMER] AS customer,
  CAST(stg_batch_id AS NVARCHAR(36)) AS batch_id
FROM STG_MON_CustMasterSchedule WHERE source_uuid IN ({marks})

-- name: lock_batch
-- Holds a batch until the transaction ends, so that no one counts beside us.
UPDATE MON_BatchProcessing SET total_records = total_records WHERE batch_id = ?

-- name: batch_counts
-- How the orders of a batch stand.
SELECT s.stg_status, COUNT(*) AS orders, COUNT(s.stg_monday_item_id) AS items
FROM STG_MON_CustMasterSchedule AS s WHERE s.stg_batch_id = ? GROUP BY s.stg_status

-- name: batch_retries
-- How many failed orders of a batch are tried again by themselves, and how many of those have their item.
SELECT COUNT(*) AS orders, COUNT(s.stg_monday_item_id) AS items FROM STG_MON_CustMasterSchedule AS s
WHERE s.stg_batch_id = ? AND s.stg_status = 'API_FAILED'
  AND (EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule AS e
      WHERE e.record_uuid = s.source_uuid AND e.version = s.version AND e.resolved_date IS NULL
        AND (e.next_retry_at IS NOT NULL OR (e.retryable = 1 AND e.max_retries_reached = 0)))
    OR EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule_Subitems AS f
      WHERE f.record_uuid = s.source_uuid AND f.version = s.version AND f.resolved_date IS NULL
        AND (f.next_retry_at IS NOT NULL OR (f.retryable = 1 AND f.max_retries_reached = 0))))

-- name: batch_sizes
-- How many sizes of a batch are on the board.
SELECT COUNT(*) AS n FROM STG_MON_CustMasterSchedule_Subitems AS s
WHERE s.stg_batch_id = ? AND s.stg_status IN ('API_SUCCESS', 'PROMOTED')

-- name: batch
-- One batch.
SELECT batch_id, total_records, status, start_time, end_time, staging_load_completed, items_creation_completed,
  subitems_creation_completed, promotion_completed, cleanup_completed
FROM MON_BatchProcessing WHERE batch_id = ?

-- name: open_batch
-- A batch begins.
INSERT INTO MON_BatchProcessing (batch_id, customer_name, batch_type, status, total_records, successful_records,
  failed_records, superseded_records, start_time, version, started_by)
SELECT CAST(? AS NVARCHAR(36)), CAST(? AS NVARCHAR(200)), 'FULL_BATCH', 'STARTED', CAST(? AS INT), 0, 0, 0,
  CAST(? AS NVARCHAR(26)), CAST(? AS BIGINT), CAST(? AS NVARCHAR(100))
WHERE NOT EXISTS (SELECT 1 FROM MON_BatchProcessing WHERE batch_id = ?)

-- name: confirm_batch
-- Kafka has all of its events.
UPDATE MON_BatchProcessing SET confirmed_at = ? WHERE batch_id = ?

-- name: unconfirmed_batches
-- Batches whose poller ended before Kafka had confirmed them.
SELECT batch_id FROM MON_BatchProcessing WHERE confirmed_at IS NULL AND version < ?

-- name: shrink_batch
-- Such a batch counts what arrived; the rest was detected again.
UPDATE MON_BatchProcessing
SET total_records = (SELECT COUNT(*) FROM STG_MON_CustMasterSchedule AS s
    WHERE s.stg_batch_id = MON_BatchProcessing.batch_id),
  processing_notes = ?
WHERE batch_id = ?

-- name: update_batch
-- The counters and the state of a batch.
UPDATE MON_BatchProcessing
SET status = ?, total_records = ?, successful_records = ?, failed_records = ?, superseded_records = ?,
  orders_processed = ?, subitems_processed = ?, end_time = ?, duration_seconds = ?, staging_load_completed = ?,
  items_creation_completed = ?, subitems_creation_completed = ?, promotion_completed = ?, error_summary = ?
WHERE batch_id = ?

-- name: batches
-- Batches by start, the newest first.
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

-- name: production_orders
-- Production, for a comparison.
SELECT {columns}, source_uuid FROM MON_CustMasterSchedule

-- name: production_count
-- How many orders production has.
SELECT COUNT(*) AS n FROM MON_CustMasterSchedule

-- name: production_sizes
-- Its sizes, for a comparison.
SELECT record_uuid, size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems
