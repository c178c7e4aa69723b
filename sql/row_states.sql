-- name: standings
-- The state of every source row, once each. The tables must prove IN_SYNC, EXCLUDED and FAILED.
SELECT s.record_uuid, s.name, p.customer,
  CASE WHEN s.record_uuid IS NULL THEN 'REFUSED'
    WHEN s.copies > 1 THEN 'REFUSED'
    WHEN s.record_uuid IN (SELECT u.record_uuid FROM ERR_MON_CustMasterSchedule AS u WHERE u.record_uuid IS NOT NULL
      AND u.error_code IN ('UNREADABLE_CELL', 'UNUSABLE_ROW')
      AND (u.resolved_date IS NULL OR u.resolution = 'DISMISSED')) THEN 'REFUSED'
    WHEN p.row_hash IS NULL OR p.row_hash = '' OR p.row_hash = 'DELETED' THEN 'UNDETECTED'
    WHEN p.sync_state = 'IN_SYNC' AND p.settled_version < p.version THEN 'NEVER_SENT'
    WHEN p.sync_state = 'IN_SYNC' AND (m.source_uuid IS NULL OR m.version <> p.settled_version
      OR m.row_hash <> p.settled_hash) THEN 'NOT_IN_PRODUCTION'
    WHEN p.sync_state = 'EXCLUDED' AND m.source_uuid IS NOT NULL THEN 'STILL_IN_PRODUCTION'
    WHEN p.sync_state = 'FAILED'
      AND NOT EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule AS e
        WHERE e.record_uuid = s.record_uuid AND e.version >= p.failed_version)
      AND NOT EXISTS (SELECT 1 FROM ERR_MON_CustMasterSchedule_Subitems AS f
        WHERE f.record_uuid = s.record_uuid AND f.version >= p.failed_version) THEN 'UNEXPLAINED'
    ELSE p.sync_state END AS standing
FROM (SELECT o.record_uuid, o.name, COUNT(*) OVER (PARTITION BY o.record_uuid) AS copies
  FROM (SELECT {uuid_text} AS record_uuid, {name_text} AS name FROM ORDERS_UNIFIED AS s) AS o) AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
LEFT JOIN MON_CustMasterSchedule AS m ON m.source_uuid = s.record_uuid

-- name: edited_orders
-- Orders that production shows otherwise than staged and settled. They are compared as sets, so NULL equals NULL.
SELECT d.source_uuid AS record_uuid
FROM (SELECT {m.columns}, m.[Item ID], m.source_uuid, m.version FROM MON_CustMasterSchedule AS m
    JOIN STG_MON_CustMasterSchedule AS t ON t.source_uuid = m.source_uuid AND t.version = m.version
  EXCEPT
  SELECT {s.columns}, s.[Item ID], s.source_uuid, s.version FROM STG_MON_CustMasterSchedule AS s
    JOIN MON_CustMasterSchedule AS n ON n.source_uuid = s.source_uuid AND n.version = s.version) AS d

-- name: edited_sizes
-- Orders with a size in production that was not settled so.
SELECT d.record_uuid
FROM (SELECT m.record_uuid, m.version, m.size_label, m.[Order Qty] FROM MON_CustMasterSchedule_Subitems AS m
    JOIN STG_MON_CustMasterSchedule AS t ON t.source_uuid = m.record_uuid AND t.version = m.version
  EXCEPT
  SELECT s.source_uuid, s.version, s.stg_size_label, CAST(s.[Order Qty] AS NVARCHAR(20))
    FROM STG_MON_CustMasterSchedule_Subitems AS s
    JOIN MON_CustMasterSchedule AS n ON n.source_uuid = s.source_uuid AND n.version = s.version) AS d

-- name: missing_sizes
-- Orders with a settled size that production lacks.
SELECT d.record_uuid
FROM (SELECT s.source_uuid AS record_uuid, s.version, s.stg_size_label FROM STG_MON_CustMasterSchedule_Subitems AS s
    JOIN MON_CustMasterSchedule AS n ON n.source_uuid = s.source_uuid AND n.version = s.version
  EXCEPT
  SELECT m.record_uuid, m.version, m.size_label FROM MON_CustMasterSchedule_Subitems AS m) AS d

-- name: production_items
-- Item and version of each order in production.
SELECT m.source_uuid, m.[Item ID] AS item_id, m.version FROM MON_CustMasterSchedule AS m

-- name: some_orders
-- Some orders in production, for a comparison.
SELECT {columns}, source_uuid FROM MON_CustMasterSchedule WHERE source_uuid IN ({marks})

-- name: some_sizes
-- Their sizes in production.
SELECT record_uuid, size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems WHERE record_uuid IN ({marks})
