-- name: order_error
-- Is this failure recorded?
SELECT err_id, retry_count FROM ERR_MON_CustMasterSchedule WHERE error_key = ?

-- name: size_error
-- Is this failure of a size recorded?
SELECT err_id, retry_count FROM ERR_MON_CustMasterSchedule_Subitems WHERE error_key = ?

-- name: insert_order_error
-- One order that failed, once.
INSERT INTO ERR_MON_CustMasterSchedule (err_id, original_stg_id, batch_id, customer_batch, order_number, item_name,
  group_name, api_payload, error_type, error_message, http_status_code, retry_count, max_retries_reached, created_date,
  original_data, record_uuid, version, customer, error_code, request_id, retryable, error_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_size_error
-- One size that failed, once.
INSERT INTO ERR_MON_CustMasterSchedule_Subitems (err_id, original_stg_id, parent_item_id, batch_id, customer_batch,
  order_number, size_label, order_qty, subitem_name, api_payload, error_type, error_message, http_status_code,
  retry_count, max_retries_reached, created_date, original_data, record_uuid, version, customer, error_code, request_id,
  retryable, error_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: order_failed_again
-- The same order failed again, on a later try; or after its failure had ended, which opens it anew.
UPDATE ERR_MON_CustMasterSchedule SET retry_count = ?, last_retry_date = ?, error_type = ?, error_message = ?,
  error_code = ?, http_status_code = ?, request_id = ?, api_payload = COALESCE(?, api_payload), retryable = ?,
  next_retry_at = NULL, max_retries_reached = 0, resolved_date = NULL, resolved_by = NULL, resolution = NULL,
  resolution_reason = NULL
WHERE error_key = ? AND ((resolved_date IS NULL AND retry_count < ?) OR resolved_date < ?)

-- name: size_failed_again
-- The same for a size.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET retry_count = ?, last_retry_date = ?, error_type = ?,
  error_message = ?, error_code = ?, http_status_code = ?, request_id = ?, api_payload = COALESCE(?, api_payload),
  retryable = ?, next_retry_at = NULL, max_retries_reached = 0, resolved_date = NULL, resolved_by = NULL,
  resolution = NULL, resolution_reason = NULL
WHERE error_key = ? AND ((resolved_date IS NULL AND retry_count < ?) OR resolved_date < ?)

-- name: resolve_order
-- A version that arrived resolves the failures of its order up to it.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END, resolution_reason = ?
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL AND error_code <> 'DUPLICATE_IDENTITY'

-- name: resolve_sizes
-- The same for its sizes.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END, resolution_reason = ?
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL

-- name: supersede_orders
-- A failure takes the place of its order's older ones: of earlier versions, unless its own was refused before it
-- touched anything, and of parts of the same version that an earlier try had failed with.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = 'SUPERSEDED', resolution_reason = ?
WHERE record_uuid = ? AND error_key <> ? AND resolved_date IS NULL AND error_code <> 'DUPLICATE_IDENTITY'
  AND ((version < ? AND (CAST(? AS INT) = 0 OR error_code = 'VALIDATION')) OR (version = ? AND retry_count < ?))

-- name: supersede_sizes
-- The same for its sizes.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = 'SUPERSEDED', resolution_reason = ?
WHERE record_uuid = ? AND error_key <> ? AND resolved_date IS NULL
  AND ((version < ? AND (CAST(? AS INT) = 0 OR error_code = 'VALIDATION')) OR (version = ? AND retry_count < ?))

-- name: dismiss_order
-- A person will not wait for it.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = ?, next_retry_at = NULL,
  resolution = 'DISMISSED', resolution_reason = ?
WHERE err_id = ? AND resolved_date IS NULL

-- name: dismiss_size
-- The same for a size.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = ?, next_retry_at = NULL,
  resolution = 'DISMISSED', resolution_reason = ?
WHERE err_id = ? AND resolved_date IS NULL

-- name: refusals
-- Source rows that were refused for their identity, and were not mended since. A dismissed one is known too.
SELECT error_key FROM ERR_MON_CustMasterSchedule
WHERE error_code IN ('NO_IDENTITY', 'DUPLICATE_IDENTITY') AND (resolved_date IS NULL OR resolution = 'DISMISSED')

-- name: resolve_refusal
-- Such a row was mended in the source.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', resolution = 'RESOLVED',
  resolution_reason = 'mended in the source'
WHERE error_key = ? AND (resolved_date IS NULL OR resolution = 'DISMISSED')

-- name: poison_id
-- A number for an ERR row of bytes that are no event: such rows are of no pass.
SELECT COALESCE(MAX(err_id), ?) + 1 AS n FROM ERR_MON_CustMasterSchedule WHERE err_id >= ? AND err_id < ?

-- name: open_errors
-- Failures that wait, the newest first.
SELECT q.err_id, q.kind, q.customer, q.order_number, q.size_label, q.error_type, q.error_code, q.error_message,
  q.retry_count, q.next_retry_at, q.created_date, q.record_uuid, q.version, q.request_id, q.error_key, q.retryable,
  q.max_retries_reached
FROM (SELECT e.err_id, 'ORDER' AS kind, e.customer, e.order_number, NULL AS size_label, e.error_type, e.error_code,
    e.error_message, e.retry_count, e.next_retry_at, e.created_date, e.record_uuid, e.version, e.request_id,
    e.error_key, e.retryable, e.max_retries_reached
  FROM ERR_MON_CustMasterSchedule AS e WHERE e.resolved_date IS NULL
  UNION ALL
  SELECT f.err_id, 'SIZE' AS kind, f.customer, f.order_number, f.size_label, f.error_type, f.error_code,
    f.error_message, f.retry_count, f.next_retry_at, f.created_date, f.record_uuid, f.version, f.request_id,
    f.error_key, f.retryable, f.max_retries_reached
  FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.resolved_date IS NULL) AS q
ORDER BY q.created_date DESC, q.err_id DESC

-- name: open_batches
-- The batches of the open failures of these orders.
SELECT DISTINCT CAST(e.batch_id AS NVARCHAR(36)) AS batch_id FROM ERR_MON_CustMasterSchedule AS e
WHERE e.resolved_date IS NULL AND e.batch_id IS NOT NULL AND e.record_uuid IN ({marks})

-- name: open_batches_of_sizes
-- The same of their sizes.
SELECT DISTINCT CAST(f.batch_id AS NVARCHAR(36)) AS batch_id FROM ERR_MON_CustMasterSchedule_Subitems AS f
WHERE f.resolved_date IS NULL AND f.batch_id IS NOT NULL AND f.record_uuid IN ({marks})

-- name: order_of_error
-- Whose open failure this is.
SELECT e.record_uuid FROM ERR_MON_CustMasterSchedule AS e WHERE e.err_id = ? AND e.resolved_date IS NULL
UNION ALL
SELECT f.record_uuid FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.err_id = ? AND f.resolved_date IS NULL
