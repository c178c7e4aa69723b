-- name: ledger
-- The items and subitems of these orders, as the API confirmed them.
SELECT record_uuid, size_label, item_id, board_id, name, group_name, columns_json, active, version
FROM SYNC_Ledger WHERE record_uuid IN ({marks})

-- name: items_of_others
-- The orders to which these items belong; removed items are left out.
SELECT g.item_id, g.record_uuid FROM SYNC_Ledger AS g WHERE g.active = 1 AND g.item_id IN ({marks})

-- name: items_in_groups
-- The number of active items in each of these groups.
SELECT group_name, COUNT(*) AS items FROM SYNC_Ledger
WHERE active = 1 AND size_label = '' AND group_name IN ({marks}) GROUP BY group_name

-- name: active_items
-- The active items that the ledger knows, in the order of their creation.
SELECT board_id, item_id FROM SYNC_Ledger WHERE active = 1 AND size_label = '' ORDER BY item_id

-- name: items_of_orders
-- The active item of each order that the ledger knows.
SELECT g.record_uuid, g.item_id FROM SYNC_Ledger AS g WHERE g.active = 1 AND g.size_label = ''

-- name: promoted
-- Those of these orders that production has: the board shows them.
SELECT p.source_uuid FROM MON_CustMasterSchedule AS p WHERE p.source_uuid IN ({marks})

-- name: changed_since
-- The orders of which the API confirmed anything since then.
SELECT DISTINCT record_uuid FROM SYNC_Ledger WHERE updated_at >= ?

-- name: forget_entity
-- Removes the row of an item or subitem, before a newer confirmation.
DELETE FROM SYNC_Ledger WHERE record_uuid = ? AND size_label = ?

-- name: remember_entity
-- Inserts one item or subitem as the API confirmed it.
INSERT INTO SYNC_Ledger (record_uuid, size_label, item_id, board_id, name, group_name, columns_json, active, version,
  updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: retire_sizes
-- Ends the subitems of a removed item.
UPDATE SYNC_Ledger SET active = 0, updated_at = ? WHERE record_uuid = ? AND size_label <> ''

-- name: groups
-- The known groups of a board.
SELECT group_name, group_id FROM SYNC_Groups WHERE board_id = ?

-- name: remember_group
-- Inserts a group, once.
INSERT INTO SYNC_Groups (board_id, group_name, group_id)
SELECT CAST(? AS NVARCHAR(20)), CAST(? AS NVARCHAR(255)), CAST(? AS NVARCHAR(255))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Groups WHERE board_id = ? AND group_name = ?)

-- name: forget_entities
-- Removes every item and subitem: the binding to their board ends.
DELETE FROM SYNC_Ledger

-- name: forget_all_groups
-- Removes the groups of every board.
DELETE FROM SYNC_Groups

-- name: forget_groups
-- Removes the groups of a board, before those that were just read.
DELETE FROM SYNC_Groups WHERE board_id = ?

-- name: forget_requests
-- Ends the requests in doubt: the board that they were for is not ours any more.
UPDATE SYNC_Requests SET finished_at = ?, outcome = 'FORGOTTEN' WHERE finished_at IS NULL
