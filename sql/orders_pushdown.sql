-- Detection on the server, which sends no row whose hash its snapshot row has. The server's hash counts only beside the
-- row_hash for which it was stored: every change of row_hash makes it void.

-- name: scan
-- engine: sqlserver
-- Rows that differ from their snapshot row, or whose snapshot row has no valid hash, with the server's hash and their
-- cells.
SELECT d.record_uuid, d.known, d.server_hash, {cell_texts}
FROM (SELECT {uuid_text} AS record_uuid, p.row_hash AS known, p.row_hash_bin, p.row_hash_bin_of,
    {hash_texts} AS server_hash, {named_texts}
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
  WHERE {uuid_text} IS NOT NULL) AS d
WHERE d.row_hash_bin IS NULL OR d.row_hash_bin_of IS NULL OR d.row_hash_bin_of <> d.known
  OR d.row_hash_bin <> d.server_hash

-- name: scan_chosen
-- engine: sqlserver
-- The same for some raw customer names, PO numbers and seasons; a filter whose flag is 0 chooses all rows.
SELECT d.record_uuid, d.known, d.server_hash, {cell_texts}
FROM (SELECT {uuid_text} AS record_uuid, p.row_hash AS known, p.row_hash_bin, p.row_hash_bin_of,
    {hash_texts} AS server_hash, {named_texts}
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
  WHERE {uuid_text} IS NOT NULL
    AND (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
    AND (CAST(? AS INT) = 0 OR s.[PO NUMBER] IN ({po_number_marks}))
    AND (CAST(? AS INT) = 0 OR s.[AAG SEASON] IN ({aag_season_marks}))
    AND (CAST(? AS INT) = 0 OR s.[CUSTOMER SEASON] IN ({customer_season_marks}))) AS d
WHERE d.row_hash_bin IS NULL OR d.row_hash_bin_of IS NULL OR d.row_hash_bin_of <> d.known
  OR d.row_hash_bin <> d.server_hash

-- name: rows_to_scan
-- The number of source rows with an identity.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IS NOT NULL

-- name: rows_to_scan_chosen
-- The number of chosen source rows with an identity.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED AS s
WHERE {uuid_text} IS NOT NULL
  AND (CAST(? AS INT) = 0 OR s.[CUSTOMER NAME] IN ({marks}))
  AND (CAST(? AS INT) = 0 OR s.[PO NUMBER] IN ({po_number_marks}))
  AND (CAST(? AS INT) = 0 OR s.[AAG SEASON] IN ({aag_season_marks}))
  AND (CAST(? AS INT) = 0 OR s.[CUSTOMER SEASON] IN ({customer_season_marks}))

-- name: nameless
-- The number of source rows without an identity.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IS NULL

-- name: note
-- Stores the server's hash of the row that row_hash stands for.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash_bin = ?, row_hash_bin_of = row_hash WHERE record_uuid = ? AND row_hash = ?

-- name: hash_some
-- engine: sqlserver
-- Counts the server's hashes of some rows and the stored ones, and sends none: the cost of the server's compare.
SELECT COUNT(DISTINCT d.server_hash) AS hashes, COUNT(d.row_hash_bin) AS noted
FROM (SELECT p.row_hash_bin, {hash_texts} AS server_hash
  FROM ORDERS_UNIFIED AS s
  LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
  WHERE {uuid_text} IN ({marks})) AS d

-- name: identities
-- The identities of all source rows, for a sample.
SELECT {uuid_text} AS record_uuid FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IS NOT NULL
