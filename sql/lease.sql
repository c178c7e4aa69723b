-- name: hold_lease
-- Writes nothing; who holds the lease keeps it until the transaction ends.
UPDATE SYNC_Lease SET token = token WHERE name = ? AND owner = ? AND token = ?

-- name: ensure_lease
-- The row of a lease.
INSERT INTO SYNC_Lease (name, owner, token, expires_at)
SELECT CAST(? AS NVARCHAR(100)), NULL, 0, CAST(? AS NVARCHAR(26))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ?)

-- name: acquire_lease
-- Takes a free or expired lease, with a new epoch.
UPDATE SYNC_Lease SET owner = ?, token = token + 1, expires_at = ?
WHERE name = ? AND (owner IS NULL OR expires_at < ?)

-- name: renew_lease
-- Keeps a lease that is still ours.
UPDATE SYNC_Lease SET expires_at = ? WHERE name = ? AND owner = ? AND token = ? AND expires_at >= ?

-- name: release_lease
-- Lets the next one in at once.
UPDATE SYNC_Lease SET owner = NULL, expires_at = ? WHERE name = ? AND owner = ? AND token = ?

-- name: lease
-- Who may write.
SELECT owner, token, expires_at FROM SYNC_Lease WHERE name = ?
