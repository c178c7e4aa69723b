-- name: schedule_order
-- Sets the due time of a failure of an order, or that none follows.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: schedule_size
-- Sets the due time of a failure of a size, or that none follows.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ?, max_retries_reached = ?
WHERE error_key = ? AND resolved_date IS NULL AND retry_count = ?

-- name: due
-- The due failures of orders and sizes, the longest waiting first.
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
-- The number of due failures.
SELECT (SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule WHERE resolved_date IS NULL AND next_retry_at <= ?)
  + (SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule_Subitems WHERE resolved_date IS NULL AND next_retry_at <= ?) AS n

-- name: outcomes
-- The ends of the newest retries, the newest first: the error code, blank for an arrival.
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
-- Claims a due failure of an order for one process; if that process ends, it is due once more later.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
  AND next_retry_at <= ?

-- name: claim_size
-- Claims a due failure of a size in the same way.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
  AND next_retry_at <= ?

-- name: open_order
-- The open failure of an order with this key, if there is one.
SELECT err_id FROM ERR_MON_CustMasterSchedule WHERE error_key = ? AND resolved_date IS NULL

-- name: open_size
-- The open failure of a size with this key, if there is one.
SELECT err_id FROM ERR_MON_CustMasterSchedule_Subitems WHERE error_key = ? AND resolved_date IS NULL

-- name: postpone_order
-- Moves the due time of a failure of an order that an operator retries now: it is due only if that retry fails to
-- arrive.
UPDATE ERR_MON_CustMasterSchedule SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL

-- name: postpone_size
-- Moves the due time of a failure of a size in the same way.
UPDATE ERR_MON_CustMasterSchedule_Subitems SET next_retry_at = ? WHERE error_key = ? AND resolved_date IS NULL
