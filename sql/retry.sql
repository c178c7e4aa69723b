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

-- name: repair_failed
-- An order that was in sync, and whose repair at the same version failed.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'FAILED' WHERE record_uuid = ? AND version = ? AND settled_version = ?

-- name: schedule_order
-- When to try an order again; or never.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: schedule_size
-- When to try a size again; or never.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: due
-- Failures whose time has come, orders and sizes, those that wait longest first.
SELECT q.record_uuid, q.version, q.retry_count, q.error_key, q.kind
FROM (SELECT d.record_uuid, d.version, d.retry_count, d.error_key, d.kind,
    ROW_NUMBER() OVER (ORDER BY d.next_retry_at, d.error_key) AS rn
  FROM (SELECT e.record_uuid, e.version, e.retry_count, e.error_key, 'ORDER' AS kind, e.next_retry_at
    FROM ERR_MON_CustMasterSchedule AS e WHERE e.resolved_date IS NULL AND e.next_retry_at <= ?
    UNION ALL
    SELECT f.record_uuid, f.version, f.retry_count, f.error_key, 'SIZE' AS kind, f.next_retry_at
    FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.resolved_date IS NULL AND f.next_retry_at <= ?) AS d) AS q
WHERE q.rn <= ? ORDER BY q.rn

-- name: is_due
-- Has the time of any failure come?
SELECT (SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule WHERE resolved_date IS NULL AND next_retry_at <= ?)
  + (SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule_Subitems WHERE resolved_date IS NULL AND next_retry_at <= ?) AS n

-- name: outcomes
-- How the newest retries since a moment ended: their code, or nothing for one that arrived.
SELECT q.code
FROM (SELECT q.code, ROW_NUMBER() OVER (ORDER BY q.ended_at DESC) AS rn
  FROM (SELECT e.error_code AS code, e.last_retry_date AS ended_at FROM ERR_MON_CustMasterSchedule AS e
    WHERE e.last_retry_date >= ? AND e.resolved_date IS NULL AND e.retryable = 1 AND e.retry_count > 0
    UNION ALL
    SELECT f.error_code AS code, f.last_retry_date AS ended_at FROM ERR_MON_CustMasterSchedule_Subitems AS f
    WHERE f.last_retry_date >= ? AND f.resolved_date IS NULL AND f.retryable = 1 AND f.retry_count > 0
    UNION ALL
    SELECT '' AS code, g.resolved_date AS ended_at FROM ERR_MON_CustMasterSchedule AS g
    WHERE g.resolved_date >= ? AND g.resolution = 'RESOLVED' AND g.retryable = 1
    UNION ALL
    SELECT '' AS code, h.resolved_date AS ended_at FROM ERR_MON_CustMasterSchedule_Subitems AS h
    WHERE h.resolved_date >= ? AND h.resolution = 'RESOLVED' AND h.retryable = 1) AS q) AS q
WHERE q.rn <= ? ORDER BY q.rn

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
SELECT s.source_uuid, s.version, s.row_hash, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id, s.[CUSTOMER] AS customer,
  s.validation_status
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: order_context
-- What an ERR row tells of its staged order.
SELECT s.stg_id, s.stg_customer_batch, s.[AAG ORDER NUMBER] AS order_number, s.[Title] AS item_name,
  s.[Group] AS group_name, s.stg_api_payload, s.source_row, s.stg_monday_item_id, s.stg_status,
  s.stg_processed_date, s.validation_status
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: size_context
-- What an ERR row tells of its staged size.
SELECT s.stg_id, s.[Order Qty] AS order_qty FROM STG_MON_CustMasterSchedule_Subitems AS s
WHERE s.source_uuid = ? AND s.version = ? AND s.stg_size_label = ?

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

-- name: detect_again
-- An empty hash differs from every row. A newer version that is on its way is the next try anyway.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', planned_mutations = 0
WHERE record_uuid = ? AND version = ? AND row_hash <> 'DELETED'

-- name: newest_staged
-- The newest version of an order that was not refused.
SELECT MAX(s.version) AS version FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid = ? AND s.validation_status <> 'INVALID'

-- name: snapshot
-- The newest version of an order, and whether its row has left the source.
SELECT p.version, p.row_hash, p.settled_version FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = ?

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

-- name: open_order
-- Is this failure of an order still open?
SELECT err_id FROM ERR_MON_CustMasterSchedule WHERE error_key = ? AND resolved_date IS NULL

-- name: open_size
-- The same of a size.
SELECT err_id FROM ERR_MON_CustMasterSchedule_Subitems WHERE error_key = ? AND resolved_date IS NULL

-- name: postpone_order
-- A person sends it now: by itself it comes again only if that was in vain.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL

-- name: postpone_size
-- The same for a size.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
