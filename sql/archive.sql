-- name: store
-- Adds one archived snapshot.
INSERT INTO snapshot_archive (customer_filter, version, snapshot_date, record_count, parquet_data, file_size_bytes,
  compression_ratio, original_columns, schema_version, schema_hash, file_checksum, created_at, created_by,
  retention_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ordersync', ?)

-- name: stored
-- Counts the customer's snapshot of a pass: 0 or 1.
SELECT COUNT(*) AS n FROM snapshot_archive WHERE customer_filter = ? AND version = ?

-- name: entries
-- All archived snapshots, the oldest of each customer first.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a ORDER BY a.customer_filter, a.snapshot_date, a.id

-- name: entries_of
-- The archived snapshots of one customer, the oldest first.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a WHERE a.customer_filter = ? ORDER BY a.snapshot_date, a.id

-- name: entry
-- One archived snapshot.
SELECT a.id, a.customer_filter, a.version, a.snapshot_date, a.record_count, a.file_size_bytes, a.schema_version,
  a.file_checksum
FROM snapshot_archive AS a WHERE a.id = ?

-- name: payload
-- The Parquet file of an archived snapshot.
SELECT a.parquet_data FROM snapshot_archive AS a WHERE a.id = ?

-- name: remove
-- Removes one archived snapshot.
DELETE FROM snapshot_archive WHERE id = ?
