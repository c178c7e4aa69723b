-- name: remove_order
-- Removes an order from production, because it left or before its promotion.
DELETE FROM MON_CustMasterSchedule WHERE source_uuid = ?

-- name: remove_sizes
-- Removes its sizes in the same way.
DELETE FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ?

-- name: promote_order
-- Copies a staged order to production.
INSERT INTO MON_CustMasterSchedule ({columns}, [Item ID], source_uuid, version, row_hash, batch_id, warnings,
  promoted_at)
SELECT {s.columns}, s.[Item ID], s.source_uuid, s.version, s.row_hash, CAST(s.stg_batch_id AS NVARCHAR(36)), s.warnings,
  CAST(? AS NVARCHAR(26))
FROM STG_MON_CustMasterSchedule AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: promote_sizes
-- Copies its sizes to production, with the ids that the board gave them.
INSERT INTO MON_CustMasterSchedule_Subitems (parent_item_id, subitem_id, subitem_board_id, [Size], [Order Qty],
  [Item ID], ORDER_QTY, AAG_ORDER_NUMBER, STYLE, COLOR, CUSTOMER, PO_NUMBER, CUSTOMER_ALT_PO, UNIT_OF_MEASURE,
  source_table, record_uuid, size_label, version, row_hash, promoted_at)
SELECT s.parent_item_id, s.subitem_id, s.subitem_board_id, s.stg_size_label, CAST(s.[Order Qty] AS NVARCHAR(20)),
  s.subitem_id, CAST(s.[Order Qty] AS NVARCHAR(20)), s.AAG_ORDER_NUMBER, s.STYLE, s.COLOR, s.CUSTOMER, s.PO_NUMBER,
  s.CUSTOMER_ALT_PO, s.UNIT_OF_MEASURE, s.source_table, s.source_uuid, s.stg_size_label, s.version, s.row_hash,
  CAST(? AS NVARCHAR(26))
FROM STG_MON_CustMasterSchedule_Subitems AS s WHERE s.source_uuid = ? AND s.version = ?

-- name: legacy_orders
-- The rows of an earlier workflow: they name an item and no order.
SELECT {columns}, [Item ID] FROM MON_CustMasterSchedule WHERE source_uuid IS NULL AND [Item ID] IS NOT NULL

-- name: legacy_parents
-- The items of which an earlier workflow has rows of sizes.
SELECT DISTINCT parent_item_id FROM MON_CustMasterSchedule_Subitems
WHERE record_uuid IS NULL AND parent_item_id IS NOT NULL

-- name: link_order
-- Gives a row of an earlier workflow the order of its item, unless production has that order already.
UPDATE MON_CustMasterSchedule SET source_uuid = ?, version = 0
WHERE source_uuid IS NULL AND [Item ID] = ?
  AND NOT EXISTS (SELECT 1 FROM MON_CustMasterSchedule AS o WHERE o.source_uuid = ?)

-- name: link_sizes
-- Gives its rows of sizes the same order.
UPDATE MON_CustMasterSchedule_Subitems SET record_uuid = ?, version = 0
WHERE record_uuid IS NULL AND parent_item_id = ?
  AND EXISTS (SELECT 1 FROM MON_CustMasterSchedule AS o WHERE o.source_uuid = ? AND o.version = 0)

-- name: production_orders
-- All orders in production, for a comparison.
SELECT {columns}, source_uuid FROM MON_CustMasterSchedule

-- name: production_count
-- The number of orders in production.
SELECT COUNT(*) AS n FROM MON_CustMasterSchedule

-- name: production_sizes
-- All sizes in production, for a comparison.
SELECT record_uuid, size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems
