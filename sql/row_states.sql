-- name: source_rows
-- Every source row, with the number of rows that share its identity, its snapshot row and its production row. It is
-- refused while an ERR row says that a cell of it is unreadable.
SELECT COALESCE(p.record_uuid, {uuid_text}) AS record_uuid, {name_text} AS name, d.copies AS copies,
  CASE WHEN e.record_uuid IS NULL THEN 0 ELSE 1 END AS refused, p.customer, p.sync_state, p.row_hash, p.version,
  p.settled_version, p.failed_version, p.settled_hash, m.source_uuid, m.version AS production_version,
  m.row_hash AS production_hash, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN (SELECT {group_text} AS uuid_key, COUNT(*) AS copies FROM ORDERS_UNIFIED AS s
  WHERE s.record_uuid IS NOT NULL GROUP BY {group_text} HAVING COUNT(*) > 1) AS d ON d.uuid_key = {group_text}
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
LEFT JOIN MON_CustMasterSchedule AS m ON m.source_uuid = {uuid_text}
LEFT JOIN (SELECT u.record_uuid FROM ERR_MON_CustMasterSchedule AS u WHERE u.record_uuid IS NOT NULL
  AND u.error_code IN ('UNREADABLE_CELL', 'UNUSABLE_ROW') AND (u.resolved_date IS NULL OR u.resolution = 'DISMISSED')
  GROUP BY u.record_uuid) AS e ON e.record_uuid = {uuid_text}

-- name: source_rows_of
-- The same for these identities; the reader counts the rows that share one.
SELECT COALESCE(p.record_uuid, {uuid_text}) AS record_uuid, {name_text} AS name, CAST(NULL AS INT) AS copies,
  CASE WHEN e.record_uuid IS NULL THEN 0 ELSE 1 END AS refused, p.customer, p.sync_state, p.row_hash, p.version,
  p.settled_version, p.failed_version, p.settled_hash, m.source_uuid, m.version AS production_version,
  m.row_hash AS production_hash, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
LEFT JOIN MON_CustMasterSchedule AS m ON m.source_uuid = {uuid_text}
LEFT JOIN (SELECT u.record_uuid FROM ERR_MON_CustMasterSchedule AS u WHERE u.record_uuid IS NOT NULL
  AND u.error_code IN ('UNREADABLE_CELL', 'UNUSABLE_ROW') AND (u.resolved_date IS NULL OR u.resolution = 'DISMISSED')
  GROUP BY u.record_uuid) AS e ON e.record_uuid = {uuid_text}
WHERE {uuid_text} IN ({marks})

-- name: identities_after
-- The orders of the source that have a snapshot row, in the order of their identities.
SELECT p.record_uuid FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.record_uuid > ? AND p.row_hash <> 'DELETED' ORDER BY p.record_uuid

-- name: errors_of
-- The newest version of each of these orders that has an ERR row.
SELECT e.record_uuid, MAX(e.version) AS version FROM ERR_MON_CustMasterSchedule AS e
WHERE e.record_uuid IN ({marks}) GROUP BY e.record_uuid

-- name: size_errors_of
-- The same for ERR rows of sizes.
SELECT e.record_uuid, MAX(e.version) AS version FROM ERR_MON_CustMasterSchedule_Subitems AS e
WHERE e.record_uuid IN ({marks}) GROUP BY e.record_uuid

-- name: production_alone
-- Orders of production that have no snapshot row, or whose row has left the source.
SELECT m.source_uuid, m.version, p.sync_state, p.customer FROM MON_CustMasterSchedule AS m
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = m.source_uuid
WHERE p.record_uuid IS NULL OR p.row_hash = 'DELETED'

-- name: sizes_alone
-- Sizes of production without their order.
SELECT DISTINCT m.record_uuid, m.version, p.sync_state, p.customer FROM MON_CustMasterSchedule_Subitems AS m
LEFT JOIN MON_CustMasterSchedule AS o ON o.source_uuid = m.record_uuid
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = m.record_uuid
WHERE o.source_uuid IS NULL

-- name: items_alone
-- Active items of the ledger that have no snapshot row, or whose row has left the source.
SELECT g.record_uuid, g.version, p.sync_state, p.customer FROM SYNC_Ledger AS g
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = g.record_uuid
WHERE g.active = 1 AND g.size_label = '' AND (p.record_uuid IS NULL OR p.row_hash = 'DELETED')

-- name: staged_otherwise
-- Settled versions that are staged with another hash than they were settled with.
SELECT s.source_uuid, s.version, p.sync_state, p.customer FROM STG_MON_CustMasterSchedule AS s
JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.source_uuid AND p.settled_version = s.version
WHERE COALESCE(s.row_hash, '') <> COALESCE(p.settled_hash, '')

-- name: staged_in_future
-- Staged versions above this one.
SELECT s.source_uuid, s.version, p.sync_state, p.customer FROM STG_MON_CustMasterSchedule AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.source_uuid WHERE s.version > ?

-- name: items_in_future
-- Items and subitems of the ledger that carry out a version above this one.
SELECT DISTINCT g.record_uuid, g.version, p.sync_state, p.customer FROM SYNC_Ledger AS g
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = g.record_uuid WHERE g.version > ?

-- name: production_items
-- Item and version of each order in production.
SELECT m.source_uuid, m.[Item ID] AS item_id, m.version FROM MON_CustMasterSchedule AS m WHERE m.source_uuid IS NOT NULL

-- name: some_orders
-- Some orders in production, for a comparison.
SELECT {columns}, source_uuid FROM MON_CustMasterSchedule WHERE source_uuid IN ({marks})

-- name: some_sizes
-- Their sizes in production.
SELECT record_uuid, size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems WHERE record_uuid IN ({marks})
