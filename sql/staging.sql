-- name: staged_versions
-- The staged versions of these orders.
SELECT source_uuid, version, stg_status, validation_status, stg_id FROM STG_MON_CustMasterSchedule
WHERE source_uuid IN ({marks})

-- name: insert_order
-- Inserts one staged order.
INSERT INTO STG_MON_CustMasterSchedule ({columns}) VALUES ({marks})

-- name: insert_subitem
-- Inserts one size of a staged order.
INSERT INTO STG_MON_CustMasterSchedule_Subitems ({columns}) VALUES ({marks})

-- name: pending_versions
-- The PENDING versions of these orders, with their batches.
SELECT s.stg_id, s.source_uuid, s.version, s.stg_batch_id FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid IN ({marks}) AND s.stg_status = 'PENDING'

-- name: supersede
-- Ends a PENDING version that a newer one supersedes.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_id = ? AND stg_status = 'PENDING'

-- name: supersede_sizes
-- Ends the sizes of a PENDING version, before the version itself.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_parent_stg_id IN (SELECT s.stg_id FROM STG_MON_CustMasterSchedule AS s
  WHERE s.stg_id = ? AND s.stg_status = 'PENDING')

-- name: orders
-- Staged orders, with all their columns.
SELECT {columns} FROM STG_MON_CustMasterSchedule WHERE stg_id IN ({marks})

-- name: sizes
-- The sizes of staged orders.
SELECT stg_id, stg_parent_stg_id, source_uuid, version, stg_status, stg_size_label, [Order Qty]
FROM STG_MON_CustMasterSchedule_Subitems WHERE stg_parent_stg_id IN ({marks})

-- name: order_inflight
-- Notes the intent of a request on its order; a newer version may have been staged since it was chosen.
UPDATE STG_MON_CustMasterSchedule
SET stg_status = 'INFLIGHT', request_key = ?, first_sent_at = ?, stg_api_payload = ?, update_operation = ?
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: size_inflight
-- Notes the intent of a request on its size.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'INFLIGHT', request_key = ?, first_sent_at = ?, stg_api_payload = ?, update_operation = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ?

-- name: order_item
-- Stores the item of an order as soon as it is known.
UPDATE STG_MON_CustMasterSchedule SET stg_monday_item_id = ?, [Item ID] = ?
WHERE source_uuid = ? AND version = ?

-- name: size_done
-- Notes that the board has confirmed one size.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'API_SUCCESS', stg_monday_subitem_id = ?, [Item ID] = ?, stg_monday_subitem_board_id = ?,
  stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ?

-- name: order_done
-- Notes that the board shows this version, unless it is promoted.
UPDATE STG_MON_CustMasterSchedule
SET stg_status = 'API_SUCCESS', stg_processed_date = ?, stg_monday_item_id = ?, [Item ID] = ?, stg_error_message = NULL
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: order_again
-- Sets a replayed settled version to INFLIGHT: once the board shows it, it is promoted once more.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'INFLIGHT'
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PROMOTED', 'SUPERSEDED')

-- name: order_superseded
-- Ends a version that a newer one superseded before the board confirmed it.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_FAILED')

-- name: sizes_superseded
-- Ends the sizes of such a version.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: stage_left_size
-- Stages a size that left the order with quantity 0, because the board shows 0.
INSERT INTO STG_MON_CustMasterSchedule_Subitems (stg_id, stg_batch_id, stg_parent_stg_id, stg_status,
  stg_created_date, stg_retry_count, source_uuid, version, row_hash, CUSTOMER, ORDER_QTY, [Size], stg_size_label,
  [Order Qty], update_operation, source_table, validation_status, AAG_ORDER_NUMBER, STYLE, COLOR, PO_NUMBER,
  CUSTOMER_ALT_PO, UNIT_OF_MEASURE)
SELECT CAST(? AS BIGINT) + (SELECT COUNT(*) FROM STG_MON_CustMasterSchedule_Subitems AS c
    WHERE c.source_uuid = s.source_uuid AND c.version = s.version),
  CAST(s.stg_batch_id AS NVARCHAR(36)), s.stg_id, 'PENDING', CAST(? AS NVARCHAR(26)), 0,
  s.source_uuid, s.version, s.row_hash, s.[CUSTOMER], 0, CAST(? AS NVARCHAR(100)), CAST(? AS NVARCHAR(100)), 0,
  'UPDATE', s.source_table, 'VALID', s.[AAG ORDER NUMBER], s.[STYLE], s.[COLOR], s.[PO NUMBER],
  s.[CUSTOMER ALT PO], s.[UNIT OF MEASURE]
FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid = ? AND s.version = ?
  AND NOT EXISTS (SELECT 1 FROM STG_MON_CustMasterSchedule_Subitems AS t
    WHERE t.source_uuid = s.source_uuid AND t.version = s.version AND t.stg_size_label = ?)

-- name: batch_of
-- The batch of a staged version.
SELECT CAST(stg_batch_id AS NVARCHAR(36)) AS batch_id FROM STG_MON_CustMasterSchedule
WHERE source_uuid = ? AND version = ?

-- name: sizes_confirmed
-- Notes that the board shows all sizes of a version, with their ids; some of them may have needed no mutation.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'API_SUCCESS', stg_processed_date = ?,
  subitem_id = (SELECT g.item_id FROM SYNC_Ledger AS g WHERE g.record_uuid = STG_MON_CustMasterSchedule_Subitems.source_uuid
    AND g.size_label = STG_MON_CustMasterSchedule_Subitems.stg_size_label),
  subitem_board_id = (SELECT g.board_id FROM SYNC_Ledger AS g WHERE g.record_uuid = STG_MON_CustMasterSchedule_Subitems.source_uuid
    AND g.size_label = STG_MON_CustMasterSchedule_Subitems.stg_size_label),
  parent_item_id = ?, stg_monday_parent_item_id = ?
WHERE source_uuid = ? AND version = ?

-- name: order_promoted
-- Ends a staged order that was promoted.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'PROMOTED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ?

-- name: sizes_promoted
-- Ends its sizes.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'PROMOTED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ?

-- name: older_sizes_superseded
-- Ends the sizes of older open versions when a newer one arrives, before the versions themselves.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_parent_stg_id IN (SELECT s.stg_id FROM STG_MON_CustMasterSchedule AS s
  WHERE s.source_uuid = ? AND s.version < ? AND s.stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS'))

-- name: older_superseded
-- Ends older open versions when a newer one arrives. One that failed stays, with its ERR row.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version < ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_SUCCESS')

-- name: order_failed
-- Notes the failure of a staged order.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'API_FAILED', stg_processed_date = ?, stg_error_message = ?,
  stg_retry_count = ?
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_FAILED')

-- name: size_failed
-- Notes the failure of one staged size.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'API_FAILED', stg_processed_date = ?,
  stg_error_message = ?, stg_retry_count = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ? AND stg_status <> 'PROMOTED'

-- name: staged_statuses
-- The status of every staged version of these orders.
SELECT source_uuid, version, row_hash, stg_status, update_operation, [CUSTOMER] AS customer,
  CAST(stg_batch_id AS NVARCHAR(36)) AS batch_id
FROM STG_MON_CustMasterSchedule WHERE source_uuid IN ({marks})

-- name: staged_order
-- The values of a staged version that its retry needs.
SELECT s.source_uuid, s.version, s.row_hash, CAST(s.stg_batch_id AS NVARCHAR(36)) AS batch_id, s.[CUSTOMER] AS customer,
  s.validation_status
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: order_context
-- The values of a staged order that its ERR row repeats.
SELECT s.stg_id, s.stg_customer_batch, s.[AAG ORDER NUMBER] AS order_number, s.[Title] AS item_name,
  s.[Group] AS group_name, s.stg_api_payload, s.source_row, s.stg_monday_item_id, s.stg_status,
  s.stg_processed_date, s.validation_status
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: size_context
-- The values of a staged size that its ERR row repeats.
SELECT s.stg_id, s.[Order Qty] AS order_qty FROM STG_MON_CustMasterSchedule_Subitems AS s
WHERE s.source_uuid = ? AND s.version = ? AND s.stg_size_label = ?

-- name: newest_staged
-- The newest staged version of an order that validation accepted.
SELECT MAX(s.version) AS version FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid = ? AND s.validation_status <> 'INVALID'
