-- name: source_by_uuid
-- The source row of an identity.
SELECT {uuid_text} AS record_uuid, {name_text} AS customer, {number_text} AS number, {po_text} AS po
FROM ORDERS_UNIFIED AS s WHERE {uuid_text} = ?

-- name: source_by_number
-- The source rows whose order number or PO number contains a text.
SELECT {uuid_text} AS record_uuid, {name_text} AS customer, {number_text} AS number, {po_text} AS po
FROM ORDERS_UNIFIED AS s
WHERE {uuid_text} IS NOT NULL AND (REPLACE(s.[AAG ORDER NUMBER], ?, '') <> s.[AAG ORDER NUMBER]
    OR REPLACE(s.[PO NUMBER], ?, '') <> s.[PO NUMBER])

-- name: known_by_uuid
-- The snapshot row of an identity, also when its source row has left.
SELECT p.record_uuid, p.customer, p.[AAG ORDER NUMBER] AS number, p.[PO NUMBER] AS po
FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = ?

-- name: known_by_number
-- The snapshot rows whose order number or PO number contains a text, also when their source rows have left.
SELECT p.record_uuid, p.customer, p.[AAG ORDER NUMBER] AS number, p.[PO NUMBER] AS po
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE REPLACE(p.[AAG ORDER NUMBER], ?, '') <> p.[AAG ORDER NUMBER] OR REPLACE(p.[PO NUMBER], ?, '') <> p.[PO NUMBER]

-- name: staged_by_uuid
-- The staged versions of an identity: for an order that left, only they have its numbers.
SELECT s.source_uuid AS record_uuid, s.[CUSTOMER] AS customer, s.[AAG ORDER NUMBER] AS number, s.[PO NUMBER] AS po
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? ORDER BY s.version

-- name: staged_by_number
-- The staged versions with an order number or a PO number.
SELECT s.source_uuid AS record_uuid, s.[CUSTOMER] AS customer, s.[AAG ORDER NUMBER] AS number, s.[PO NUMBER] AS po
FROM STG_MON_CustMasterSchedule AS s WHERE s.[AAG ORDER NUMBER] = ? OR s.[PO NUMBER] = ? ORDER BY s.version

-- name: snapshot
-- The snapshot row of an order.
SELECT p.record_uuid, p.row_hash, p.snapshot_date, p.version, p.settled_version, p.failed_version, p.settled_hash,
  p.sync_state, p.customer, CAST(p.batch_id AS NVARCHAR(36)) AS batch_id
FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.record_uuid = ?

-- name: staged
-- Every staged version of an order that is still stored.
SELECT s.stg_id, s.version, s.row_hash, s.stg_status, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id,
  s.stg_created_date, s.stg_processed_date, s.stg_monday_item_id, s.stg_error_message, s.update_operation,
  s.validation_status, s.kafka_partition, s.kafka_offset, s.source_row, s.warnings
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? ORDER BY s.version

-- name: staged_sizes
-- The number of sizes of each staged version of an order.
SELECT t.version, COUNT(*) AS sizes FROM STG_MON_CustMasterSchedule_Subitems AS t
WHERE t.source_uuid = ? GROUP BY t.version

-- name: batch
-- The batch of a version.
SELECT b.start_time, b.started_by, b.version FROM MON_BatchProcessing AS b WHERE b.batch_id = ?

-- name: requests
-- The requests between two times that carried mutations of an order.
SELECT r.request_key, r.mutations, r.first_sent_at, r.finished_at, r.outcome, r.request_id, r.http_status, r.attempts
FROM SYNC_Requests AS r
WHERE r.first_sent_at >= ? AND r.first_sent_at <= ? AND REPLACE(r.mutations, ?, '') <> r.mutations
ORDER BY r.first_sent_at, r.request_key

-- name: errors
-- Every failure of an order and of its sizes, open or ended.
SELECT e.err_id, 'ORDER' AS kind, NULL AS size_label, e.version, e.error_type, e.error_code, e.error_message,
  e.request_id, e.http_status_code, e.retry_count, e.created_date, e.last_retry_date, e.next_retry_at,
  e.resolved_date, e.resolved_by, e.resolution, e.resolution_reason
FROM ERR_MON_CustMasterSchedule AS e WHERE e.record_uuid = ?
UNION ALL
SELECT f.err_id, 'SIZE' AS kind, f.size_label, f.version, f.error_type, f.error_code, f.error_message,
  f.request_id, f.http_status_code, f.retry_count, f.created_date, f.last_retry_date, f.next_retry_at,
  f.resolved_date, f.resolved_by, f.resolution, f.resolution_reason
FROM ERR_MON_CustMasterSchedule_Subitems AS f WHERE f.record_uuid = ?

-- name: production
-- An order in production.
SELECT m.version, m.promoted_at, m.[Item ID] AS item_id, m.warnings FROM MON_CustMasterSchedule AS m WHERE m.source_uuid = ?
