-- What only the metrics ask.

-- name: oldest_waiting
-- When the pass began that found the oldest change that waits.
SELECT MIN(b.start_time) AS waiting_since
FROM MON_BatchProcessing AS b
JOIN (SELECT DISTINCT p.batch_id FROM ORDERS_UNIFIED_SNAPSHOT AS p
  WHERE p.sync_state = 'WAITING' AND p.batch_id IS NOT NULL) AS w ON w.batch_id = b.batch_id
