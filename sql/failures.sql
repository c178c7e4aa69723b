-- name: order_error
-- The ERR row of a failure of an order, if there is one.
SELECT err_id, retry_count FROM ERR_MON_CustMasterSchedule WHERE error_key = ?

-- name: size_error
-- The ERR row of a failure of a size, if there is one.
SELECT err_id, retry_count FROM ERR_MON_CustMasterSchedule_Subitems WHERE error_key = ?

-- name: insert_order_error
-- Inserts the ERR row of an order.
INSERT INTO ERR_MON_CustMasterSchedule (err_id, original_stg_id, batch_id, customer_batch, order_number, item_name,
  group_name, api_payload, error_type, error_message, http_status_code, retry_count, max_retries_reached, created_date,
  original_data, record_uuid, version, customer, error_code, request_id, retryable, error_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_size_error
-- Inserts the ERR row of a size.
INSERT INTO ERR_MON_CustMasterSchedule_Subitems (err_id, original_stg_id, parent_item_id, batch_id, customer_batch,
  order_number, size_label, order_qty, subitem_name, api_payload, error_type, error_message, http_status_code,
  retry_count, max_retries_reached, created_date, original_data, record_uuid, version, customer, error_code, request_id,
  retryable, error_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: order_failed_again
-- Updates the ERR row of an order that failed on a later retry, or reopens it when the failure recurs after its end.
UPDATE ERR_MON_CustMasterSchedule SET retry_count = ?, last_retry_date = ?, error_type = ?, error_message = ?,
  error_code = ?, http_status_code = ?, request_id = ?, api_payload = COALESCE(?, api_payload), retryable = ?,
  next_retry_at = NULL, max_retries_reached = 0, resolved_date = NULL, resolved_by = NULL, resolution = NULL,
  resolution_reason = NULL
WHERE error_key = ? AND ((resolved_date IS NULL AND retry_count < ?) OR resolved_date < ?)

-- name: size_failed_again
-- Updates or reopens the ERR row of a size in the same way.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET retry_count = ?, last_retry_date = ?, error_type = ?,
  error_message = ?, error_code = ?, http_status_code = ?, request_id = ?, api_payload = COALESCE(?, api_payload),
  retryable = ?, next_retry_at = NULL, max_retries_reached = 0, resolved_date = NULL, resolved_by = NULL,
  resolution = NULL, resolution_reason = NULL
WHERE error_key = ? AND ((resolved_date IS NULL AND retry_count < ?) OR resolved_date < ?)

-- name: resolve_order
-- Ends the failures of an order up to the version that arrived.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END, resolution_reason = ?
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL
  AND error_code NOT IN ('DUPLICATE_IDENTITY', 'UNREADABLE_CELL', 'UNUSABLE_ROW')

-- name: resolve_sizes
-- Ends the failures of its sizes in the same way.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END, resolution_reason = ?
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL

-- name: supersede_orders
-- Ends the older failures of an order: those of earlier versions (a refused version ends only refused ones), and those
-- of an earlier retry of the same version.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = 'SUPERSEDED', resolution_reason = ?
WHERE record_uuid = ? AND error_key <> ? AND resolved_date IS NULL
  AND error_code NOT IN ('DUPLICATE_IDENTITY', 'UNREADABLE_CELL', 'UNUSABLE_ROW')
  AND ((version < ? AND (CAST(? AS INT) = 0 OR error_code = 'VALIDATION')) OR (version = ? AND retry_count < ?))

-- name: supersede_sizes
-- Ends the older failures of its sizes in the same way.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = 'SUPERSEDED', resolution_reason = ?
WHERE record_uuid = ? AND error_key <> ? AND resolved_date IS NULL
  AND ((version < ? AND (CAST(? AS INT) = 0 OR error_code = 'VALIDATION')) OR (version = ? AND retry_count < ?))

-- name: dismiss_order
-- Ends the failure of an order for an operator, with a reason.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = ?, next_retry_at = NULL,
  resolution = 'DISMISSED', resolution_reason = ?
WHERE err_id = ? AND resolved_date IS NULL

-- name: dismiss_size
-- Ends the failure of a size for an operator, with a reason.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = ?, next_retry_at = NULL,
  resolution = 'DISMISSED', resolution_reason = ?
WHERE err_id = ? AND resolved_date IS NULL

-- name: refusals
-- The ERR rows of refused source rows that are not yet corrected, dismissed ones included.
SELECT error_key, error_code FROM ERR_MON_CustMasterSchedule
WHERE error_code IN ('NO_IDENTITY', 'NOT_A_UUID', 'DUPLICATE_IDENTITY', 'UNREADABLE_CELL', 'UNUSABLE_ROW')
  AND (resolved_date IS NULL OR resolution = 'DISMISSED')

-- name: resolve_refusal
-- Ends the ERR row of a refused source row that is corrected.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', resolution = 'RESOLVED',
  resolution_reason = 'mended in the source'
WHERE error_key = ? AND (resolved_date IS NULL OR resolution = 'DISMISSED')

-- name: poison_id
-- The next key for an ERR row of undecodable bytes, which belongs to no pass.
SELECT COALESCE(MAX(err_id), ?) + 1 AS n FROM ERR_MON_CustMasterSchedule WHERE err_id >= ? AND err_id < ?

-- name: open_errors
-- The open failures of orders and sizes, the newest first.
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

-- name: open_counts
-- How many failures of orders and sizes are open, by code.
SELECT q.error_code, COUNT(*) AS [open]
FROM (SELECT e.error_code FROM ERR_MON_CustMasterSchedule AS e WHERE e.resolved_date IS NULL
  UNION ALL
  SELECT f.error_code FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.resolved_date IS NULL) AS q
GROUP BY q.error_code

-- name: open_batches
-- The batches of the open failures of these orders.
SELECT DISTINCT CAST(e.batch_id AS NVARCHAR(36)) AS batch_id FROM ERR_MON_CustMasterSchedule AS e
WHERE e.resolved_date IS NULL AND e.batch_id IS NOT NULL AND e.record_uuid IN ({marks})

-- name: open_batches_of_sizes
-- The batches of the open failures of their sizes.
SELECT DISTINCT CAST(f.batch_id AS NVARCHAR(36)) AS batch_id FROM ERR_MON_CustMasterSchedule_Subitems AS f
WHERE f.resolved_date IS NULL AND f.batch_id IS NOT NULL AND f.record_uuid IN ({marks})

-- name: order_of_error
-- The order of an open failure.
SELECT e.record_uuid FROM ERR_MON_CustMasterSchedule AS e WHERE e.err_id = ? AND e.resolved_date IS NULL
UNION ALL
SELECT f.record_uuid FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.err_id = ? AND f.resolved_date IS NULL
