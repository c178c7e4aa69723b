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
-- The same order failed again.
UPDATE ERR_MON_CustMasterSchedule SET retry_count = ?, last_retry_date = ?, error_message = ?, error_code = ?,
  request_id = ?, next_retry_at = NULL
WHERE error_key = ? AND retry_count < ? AND resolved_date IS NULL

-- name: size_failed_again
-- The same size failed again.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET retry_count = ?, last_retry_date = ?, error_message = ?,
  error_code = ?, request_id = ?, next_retry_at = NULL
WHERE error_key = ? AND retry_count < ? AND resolved_date IS NULL

-- name: resolve_order
-- A version that arrived resolves the failures of its order up to it.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL AND error_code <> 'DUPLICATE_IDENTITY'

-- name: resolve_sizes
-- The same for its sizes.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET resolved_date = ?, resolved_by = 'ordersync', next_retry_at = NULL,
  resolution = CASE WHEN version = ? THEN 'RESOLVED' ELSE 'SUPERSEDED' END
WHERE record_uuid = ? AND version <= ? AND resolved_date IS NULL

-- name: schedule_order
-- When to try an order again; or never.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: schedule_size
-- When to try a size again; or never.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: due
-- Failures whose time has come, orders and sizes.
SELECT record_uuid, version, retry_count, error_key, 'ORDER' AS kind FROM ERR_MON_CustMasterSchedule
WHERE resolved_date IS NULL AND next_retry_at <= ?
UNION ALL
SELECT record_uuid, version, retry_count, error_key, 'SIZE' AS kind FROM ERR_MON_CustMasterSchedule_Subitems
WHERE resolved_date IS NULL AND next_retry_at <= ?

-- name: claim_order
-- One process takes a due failure; if it dies, the failure is due again later.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
  AND next_retry_at <= ?

-- name: claim_size
-- The same for a size.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
  AND next_retry_at <= ?

-- name: staged_order
-- What a retry of a staged order is about.
SELECT s.source_uuid, s.version, s.row_hash, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id, s.[CUSTOMER] AS customer
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: order_context
-- What an ERR row tells of its staged order.
SELECT s.stg_id, s.stg_customer_batch, s.[AAG ORDER NUMBER] AS order_number, s.[Title] AS item_name,
  s.[Group] AS group_name, s.stg_api_payload, s.source_row, s.stg_monday_item_id, s.stg_status
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: size_context
-- What an ERR row tells of its staged size.
SELECT s.stg_id, s.[Order Qty] AS order_qty FROM STG_MON_CustMasterSchedule_Subitems AS s
WHERE s.source_uuid = ? AND s.version = ? AND s.stg_size_label = ?

-- name: refusals
-- Source rows that were refused for their identity, and still are on the list.
SELECT error_key FROM ERR_MON_CustMasterSchedule
WHERE resolved_date IS NULL AND error_code IN ('NO_IDENTITY', 'DUPLICATE_IDENTITY')

-- name: resolve_refusal
-- Such a row was mended in the source.
UPDATE ERR_MON_CustMasterSchedule SET resolved_date = ?, resolved_by = 'ordersync', resolution = 'RESOLVED'
WHERE error_key = ? AND resolved_date IS NULL

-- name: open_errors
-- Failures that wait, the newest first.
SELECT q.err_id, q.kind, q.customer, q.order_number, q.size_label, q.error_type, q.error_code, q.error_message,
  q.retry_count, q.next_retry_at, q.created_date, q.record_uuid, q.version, q.request_id
FROM (SELECT e.err_id, 'ORDER' AS kind, e.customer, e.order_number, NULL AS size_label, e.error_type, e.error_code,
    e.error_message, e.retry_count, e.next_retry_at, e.created_date, e.record_uuid, e.version, e.request_id
  FROM ERR_MON_CustMasterSchedule AS e WHERE e.resolved_date IS NULL
  UNION ALL
  SELECT f.err_id, 'SIZE' AS kind, f.customer, f.order_number, f.size_label, f.error_type, f.error_code,
    f.error_message, f.retry_count, f.next_retry_at, f.created_date, f.record_uuid, f.version, f.request_id
  FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.resolved_date IS NULL) AS q
ORDER BY q.created_date DESC, q.err_id DESC
