-- What a database holds now, and which form of our schema it was given.

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

-- name: last_schema
-- The form of the schema that was applied last.
SELECT [version], [checksum] FROM [SYNC_SchemaVersion]
 WHERE [version] = (SELECT MAX([version]) FROM [SYNC_SchemaVersion])

-- name: next_schema
-- The number of the next form.
SELECT COALESCE(MAX([version]), 0) + 1 AS [version] FROM [SYNC_SchemaVersion]

-- name: record_schema
-- Remember that this form of the schema was applied.
INSERT INTO [SYNC_SchemaVersion] ([version], [applied_at], [checksum]) VALUES (?, ?, ?)
