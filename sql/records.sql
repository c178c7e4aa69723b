-- name: production_of
-- These orders in production.
SELECT source_uuid, [Item ID], version, row_hash, {columns}
FROM MON_CustMasterSchedule WHERE source_uuid IN ({marks})

-- name: production_sizes_of
-- Their sizes in production.
SELECT record_uuid, size_label, [Order Qty], version, [Size], ORDER_QTY, {columns}
FROM MON_CustMasterSchedule_Subitems WHERE record_uuid IN ({marks})

-- name: ledger_of
-- The items and subitems of these orders in the ledger.
SELECT record_uuid, size_label, item_id, name, group_name, columns_json, active, version
FROM SYNC_Ledger WHERE record_uuid IN ({marks})

-- name: newest_of
-- The snapshot rows of these orders, and whether their newest version is staged, is valid and removes the order.
SELECT p.record_uuid, p.sync_state, p.row_hash, s.stg_id, s.validation_status, s.update_operation
FROM ORDERS_UNIFIED_SNAPSHOT AS p
LEFT JOIN STG_MON_CustMasterSchedule AS s ON s.source_uuid = p.record_uuid AND s.version = p.version
WHERE p.record_uuid IN ({marks})

-- name: staged_of
-- Staged orders by their keys, in the columns of production.
SELECT source_uuid, [Item ID], version, row_hash, {columns}
FROM STG_MON_CustMasterSchedule WHERE stg_id IN ({marks})

-- name: staged_sizes_of
-- The sizes of staged orders.
SELECT source_uuid, stg_size_label, CAST([Order Qty] AS NVARCHAR(20)) AS quantity, version, [Size],
  CAST(ORDER_QTY AS NVARCHAR(20)) AS order_qty, {columns}
FROM STG_MON_CustMasterSchedule_Subitems WHERE stg_parent_stg_id IN ({marks})
