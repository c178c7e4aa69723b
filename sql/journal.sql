-- name: open_request
-- Intent before effect: the exact body and its key, once.
INSERT INTO SYNC_Requests (request_key, lease_token, body, mutations, created_at, first_sent_at, attempts)
SELECT CAST(? AS NVARCHAR(64)), CAST(? AS BIGINT), ?, ?,
  CAST(? AS NVARCHAR(26)), CAST(? AS NVARCHAR(26)), 1
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Requests WHERE request_key = ?)

-- name: resend_request
-- One more attempt of the same body under the same key.
UPDATE SYNC_Requests SET attempts = attempts + 1, lease_token = ?
WHERE request_key = ? AND finished_at IS NULL

-- name: close_request
-- The outcome of a request, if no other process became the writer meanwhile. A lease that only ran out will do: what
-- is recorded took place.
UPDATE SYNC_Requests SET finished_at = ?, outcome = ?, request_id = ?, http_status = ?
WHERE request_key = ? AND finished_at IS NULL
  AND EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ? AND owner = ? AND token = ?)

-- name: open_requests
-- Requests that left, or were about to leave, and whose outcome nobody recorded.
SELECT request_key, body, mutations, first_sent_at, attempts FROM SYNC_Requests
WHERE finished_at IS NULL ORDER BY first_sent_at, request_key

-- name: requests_since
-- Calls and mutations since a moment.
SELECT COUNT(*) AS requests, COALESCE(SUM(attempts), 0) AS calls FROM SYNC_Requests WHERE first_sent_at >= ?

-- name: carried_out
-- The mutations of every request that reached the board.
SELECT mutations FROM SYNC_Requests WHERE outcome IN ('DONE', 'PARTIAL')
