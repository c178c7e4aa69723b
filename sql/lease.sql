-- name: hold_lease
-- Changes nothing; the lock of the row keeps the lease with its owner until the transaction ends.
UPDATE SYNC_Lease SET token = token WHERE name = ? AND owner = ? AND token = ?

-- name: ensure_lease
-- Inserts the row of a lease, once.
INSERT INTO SYNC_Lease (name, owner, token, expires_at)
SELECT CAST(? AS NVARCHAR(100)), NULL, 0, CAST(? AS NVARCHAR(26))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ?)

-- name: acquire_lease
-- Takes a free or expired lease, with a new epoch.
UPDATE SYNC_Lease SET owner = ?, token = token + 1, expires_at = ?
WHERE name = ? AND (owner IS NULL OR expires_at < ?)

-- name: renew_lease
-- Extends a lease that has not expired and still has this owner and epoch.
UPDATE SYNC_Lease SET expires_at = ? WHERE name = ? AND owner = ? AND token = ? AND expires_at >= ?

-- name: release_lease
-- Frees a lease, so that the next owner need not wait.
UPDATE SYNC_Lease SET owner = NULL, expires_at = ? WHERE name = ? AND owner = ? AND token = ?

-- name: lease
-- Owner, epoch and end of a lease.
SELECT owner, token, expires_at FROM SYNC_Lease WHERE name = ?
