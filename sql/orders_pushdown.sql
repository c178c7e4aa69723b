-- Detection on the server: rows whose hash is the one that the snapshot holds stay there. A server's hash counts only
-- beside the row_hash that it was noted for: whoever changes row_hash for any reason makes it void.

-- name: scan
-- engine: sqlserver
-- Rows that differ from their snapshot, or whose snapshot holds no hash that counts, with that hash and their cells.
SELECT d.record_uuid, d.known, d.server_hash, {cell_texts}
FROM (SELECT s.record_uuid, p.row_hash AS known, p.row_hash_bin, p.row_hash_bin_of, {hash_texts} AS server_hash,
    {named_texts}
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
  WHERE s.record_uuid IS NOT NULL) AS d
WHERE d.row_hash_bin IS NULL OR d.row_hash_bin_of IS NULL OR d.row_hash_bin_of <> d.known
  OR d.row_hash_bin <> d.server_hash

-- name: scan_chosen
-- engine: sqlserver
-- The same for the rows of some raw customer names, one PO number, one season; a filter whose flag is 0 chooses all.
SELECT d.record_uuid, d.known, d.server_hash, {cell_texts}
FROM (SELECT s.record_uuid, p.row_hash AS known, p.row_hash_bin, p.row_hash_bin_of, {hash_texts} AS server_hash,
    {named_texts}
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
  WHERE s.record_uuid IS NOT NULL
    AND (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
    AND (CAST(? AS INT) = 0 OR TRIM(s.[PO NUMBER]) = ?)
    AND (CAST(? AS INT) = 0 OR TRIM(s.[AAG SEASON]) = ?)
    AND (CAST(? AS INT) = 0 OR TRIM(s.[CUSTOMER SEASON]) = ?)) AS d
WHERE d.row_hash_bin IS NULL OR d.row_hash_bin_of IS NULL OR d.row_hash_bin_of <> d.known
  OR d.row_hash_bin <> d.server_hash

-- name: rows_to_scan
-- How many rows have an identity.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED AS s WHERE s.record_uuid IS NOT NULL

-- name: rows_to_scan_chosen
-- How many of them are chosen.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED AS s
WHERE s.record_uuid IS NOT NULL
  AND (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
  AND (CAST(? AS INT) = 0 OR TRIM(s.[PO NUMBER]) = ?)
  AND (CAST(? AS INT) = 0 OR TRIM(s.[AAG SEASON]) = ?)
  AND (CAST(? AS INT) = 0 OR TRIM(s.[CUSTOMER SEASON]) = ?)

-- name: note
-- The server's hash of the row that row_hash stands for.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash_bin = ?, row_hash_bin_of = row_hash WHERE record_uuid = ? AND row_hash = ?

-- name: hash_some
-- engine: sqlserver
-- The hashes of some rows and of their snapshots, looked at where they are: what the server's compare costs a row.
SELECT COUNT(DISTINCT d.server_hash) AS hashes, COUNT(d.row_hash_bin) AS noted
FROM (SELECT p.row_hash_bin, {hash_texts} AS server_hash
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
  WHERE s.record_uuid IN ({marks})) AS d

-- name: identities
-- The identities of all rows, to take a sample of.
SELECT s.record_uuid FROM ORDERS_UNIFIED AS s WHERE s.record_uuid IS NOT NULL
