-- The present schema of a database, and the form of our schema that was applied last.

-- name: live_columns
-- engine: sqlite
-- Every column of every table, in order.
SELECT m.[name] AS [table_name], c.[name], c.[type], c.[notnull] AS [not_null], NULL AS [collation]
  FROM sqlite_master AS m JOIN pragma_table_info(m.[name]) AS c
 WHERE m.[type] = 'table' ORDER BY m.[name], c.[cid]

-- name: live_table
-- engine: sqlite
-- The columns of one table or view, in order.
SELECT c.[name], c.[type], c.[notnull] AS [not_null], NULL AS [collation]
  FROM pragma_table_info(?) AS c ORDER BY c.[cid]

-- name: live_others
-- engine: sqlite
-- The names of all indexes and views.
SELECT [name] FROM sqlite_master WHERE [type] IN ('index', 'view')

-- name: live_columns
-- engine: sqlserver
-- Every column of every table, in order; a length of -1 is MAX.
SELECT c.TABLE_NAME AS [table_name], c.COLUMN_NAME AS [name], c.DATA_TYPE AS [type],
  CASE WHEN c.IS_NULLABLE = 'NO' THEN 1 ELSE 0 END AS [not_null], c.COLLATION_NAME AS [collation],
  c.CHARACTER_MAXIMUM_LENGTH AS [length], c.NUMERIC_PRECISION AS [digits], c.NUMERIC_SCALE AS [scale]
  FROM INFORMATION_SCHEMA.COLUMNS AS c
  JOIN INFORMATION_SCHEMA.TABLES AS t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
 WHERE c.TABLE_SCHEMA = 'dbo' AND t.TABLE_TYPE = 'BASE TABLE' ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION

-- name: live_table
-- engine: sqlserver
-- The columns of one table or view, in order.
SELECT c.COLUMN_NAME AS [name], c.DATA_TYPE AS [type],
  CASE WHEN c.IS_NULLABLE = 'NO' THEN 1 ELSE 0 END AS [not_null], c.COLLATION_NAME AS [collation],
  c.CHARACTER_MAXIMUM_LENGTH AS [length], c.NUMERIC_PRECISION AS [digits], c.NUMERIC_SCALE AS [scale]
  FROM INFORMATION_SCHEMA.COLUMNS AS c
 WHERE c.TABLE_SCHEMA = 'dbo' AND c.TABLE_NAME = ? ORDER BY c.ORDINAL_POSITION

-- name: live_others
-- engine: sqlserver
-- The names of all indexes and views.
SELECT i.name AS [name] FROM sys.indexes AS i WHERE i.name IS NOT NULL
UNION
SELECT v.name AS [name] FROM sys.views AS v

-- name: indexed_columns
-- engine: sqlserver
-- Columns that an index or a key of their table contains: their type and collation must not change.
SELECT o.name AS [table_name], c.name AS [name]
  FROM sys.index_columns AS x
  JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
  JOIN sys.tables AS o ON o.object_id = x.object_id

-- name: made_columns
-- engine: sqlserver
-- IDENTITY and computed columns: the server generates their values, while ordersync writes its own.
SELECT o.name AS [table_name], c.name AS [name]
  FROM sys.columns AS c
  JOIN sys.tables AS o ON o.object_id = c.object_id
 WHERE c.is_identity = 1 OR c.is_computed = 1

-- name: allows_snapshots
-- engine: sqlserver
-- 1 when a read transaction may see one state without a lock.
SELECT d.snapshot_isolation_state AS [state] FROM sys.databases AS d WHERE d.name = DB_NAME()

-- name: make_line
-- Inserts the row whose lock orders the write transactions, on an engine that would let them run side by side.
INSERT INTO [SYNC_Lease] ([name], [owner], [token], [expires_at])
SELECT CAST(? AS NVARCHAR(100)), NULL, 0, CAST(? AS NVARCHAR(26))
 WHERE NOT EXISTS (SELECT 1 FROM [SYNC_Lease] WHERE [name] = ?)

-- name: stand_in_line
-- Waits for the end of the write transaction before this one, and locks the row.
UPDATE [SYNC_Lease] SET [token] = [token] + 1 WHERE [name] = ?

-- name: last_schema
-- The form of the schema that was applied last.
SELECT [version], [checksum] FROM [SYNC_SchemaVersion]
 WHERE [version] = (SELECT MAX([version]) FROM [SYNC_SchemaVersion])

-- name: next_schema
-- The number of the next form.
SELECT COALESCE(MAX([version]), 0) + 1 AS [version] FROM [SYNC_SchemaVersion]

-- name: record_schema
-- Notes that this form of the schema was applied.
INSERT INTO [SYNC_SchemaVersion] ([version], [applied_at], [checksum]) VALUES (?, ?, ?)
