-- name: open_request
-- Inserts a request, once: its exact body and key are committed before it leaves.
INSERT INTO SYNC_Requests (request_key, lease_token, body, mutations, created_at, first_sent_at, attempts)
SELECT CAST(? AS NVARCHAR(64)), CAST(? AS BIGINT), ?, ?,
  CAST(? AS NVARCHAR(26)), CAST(? AS NVARCHAR(26)), 1
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Requests WHERE request_key = ?)

-- name: resend_request
-- Counts one more attempt of the same body under the same key.
UPDATE SYNC_Requests SET attempts = attempts + 1, lease_token = ?
WHERE request_key = ? AND finished_at IS NULL

-- name: adopt_request
-- Notes the creates that the board showed, unless another process is the writer now.
UPDATE SYNC_Requests SET mutations = ?
WHERE request_key = ? AND finished_at IS NULL
  AND EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ? AND owner = ? AND token = ?)

-- name: close_request
-- Writes the outcome of a request, unless another process is the writer now. An expired lease is enough, because the
-- outcome did happen.
UPDATE SYNC_Requests SET finished_at = ?, outcome = ?, request_id = ?, http_status = ?
WHERE request_key = ? AND finished_at IS NULL
  AND EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ? AND owner = ? AND token = ?)

-- name: open_requests
-- Requests that left, or were about to leave, and have no recorded outcome.
SELECT request_key, body, mutations, first_sent_at, attempts FROM SYNC_Requests
WHERE finished_at IS NULL ORDER BY first_sent_at, request_key

-- name: in_doubt
-- How many requests have no recorded outcome, and since when.
SELECT COUNT(*) AS requests, MIN(first_sent_at) AS since FROM SYNC_Requests WHERE finished_at IS NULL

-- name: requests_since
-- The number of requests and of calls since a time.
SELECT COUNT(*) AS requests, COALESCE(SUM(attempts), 0) AS calls FROM SYNC_Requests WHERE first_sent_at >= ?

-- name: carried_out
-- The mutations of every request that the board executed, in whole or in part.
SELECT mutations FROM SYNC_Requests WHERE outcome IN ('DONE', 'PARTIAL')
