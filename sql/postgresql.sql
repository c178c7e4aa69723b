-- name: live_columns
-- engine: postgresql
-- Every column of every table, in order, of the schema that is searched first.
SELECT table_name, column_name AS name, data_type AS type, CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END AS not_null
FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position

-- name: live_others
-- engine: postgresql
-- The names of all indexes of that schema.
SELECT indexname AS name FROM pg_indexes WHERE schemaname = current_schema()
