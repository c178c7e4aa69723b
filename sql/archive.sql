-- name: store
-- One snapshot of a customer.
INSERT INTO snapshot_archive (customer_filter, version, snapshot_date, record_count, parquet_data, file_size_bytes,
  compression_ratio, original_columns, schema_version, schema_hash, file_checksum, created_at, created_by,
  retention_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ordersync', ?)

-- name: stored
-- Is the snapshot of this pass there?
SELECT COUNT(*) AS n FROM snapshot_archive WHERE customer_filter = ? AND version = ?

-- name: entries
-- What is archived, the oldest first.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a ORDER BY a.customer_filter, a.snapshot_date, a.id

-- name: entries_of
-- The same of one customer.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a WHERE a.customer_filter = ? ORDER BY a.snapshot_date, a.id

-- name: entry
-- One of them.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a WHERE a.id = ?

-- name: payload
-- The file itself.
SELECT a.parquet_data FROM snapshot_archive AS a WHERE a.id = ?

-- name: remove
-- Takes one out.
DELETE FROM snapshot_archive WHERE id = ?
