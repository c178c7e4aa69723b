-- name: orders
-- Staged orders, whole.
SELECT {columns} FROM STG_MON_CustMasterSchedule WHERE stg_id IN ({marks})

-- name: sizes
-- The sizes of staged orders.
SELECT stg_id, stg_parent_stg_id, source_uuid, version, stg_status, stg_size_label, [Order Qty]
FROM STG_MON_CustMasterSchedule_Subitems WHERE stg_parent_stg_id IN ({marks})

-- name: order_inflight
-- The intent of a request, on the order it is about; a newer version may have been staged since it was chosen.
UPDATE STG_MON_CustMasterSchedule
SET stg_status = 'INFLIGHT', request_key = ?, first_sent_at = ?, stg_api_payload = ?, update_operation = ?
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: size_inflight
-- The intent of a request, on the size it is about.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'INFLIGHT', request_key = ?, first_sent_at = ?, stg_api_payload = ?, update_operation = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ?

-- name: order_item
-- The item of an order, stored the moment it is known.
UPDATE STG_MON_CustMasterSchedule SET stg_monday_item_id = ?, [Item ID] = ?
WHERE source_uuid = ? AND version = ?

-- name: size_done
-- One size is on the board.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'API_SUCCESS', stg_monday_subitem_id = ?, [Item ID] = ?, stg_monday_subitem_board_id = ?,
  stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_size_label = ?

-- name: order_done
-- The board shows this version; the next one follows, if it was staged meanwhile.
UPDATE STG_MON_CustMasterSchedule
SET stg_status = 'API_SUCCESS', stg_processed_date = ?, stg_monday_item_id = ?, [Item ID] = ?, stg_error_message = NULL
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: order_again
-- A settled version that was replayed: once the board shows it, it is promoted again.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'INFLIGHT'
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PROMOTED', 'SUPERSEDED')

-- name: order_superseded
-- A newer version was staged before this one was written.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_status IN ('PENDING', 'INFLIGHT', 'API_FAILED')

-- name: sizes_superseded
-- Its sizes.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version = ? AND stg_status <> 'PROMOTED'

-- name: ledger
-- What the board holds of these orders, as the API confirmed it.
SELECT record_uuid, size_label, item_id, board_id, name, group_name, columns_json, active, version
FROM SYNC_Ledger WHERE record_uuid IN ({marks})

-- name: items_of_others
-- Whose these items are, as far as the board is known.
SELECT g.item_id, g.record_uuid FROM SYNC_Ledger AS g WHERE g.active = 1 AND g.item_id IN ({marks})

-- name: hold_lease
-- Writes nothing; who holds the lease keeps it until the transaction ends.
UPDATE SYNC_Lease SET token = token WHERE name = ? AND owner = ? AND token = ?

-- name: forget_entity
-- Makes room for a newer confirmation.
DELETE FROM SYNC_Ledger WHERE record_uuid = ? AND size_label = ?

-- name: remember_entity
-- One item or subitem as the API confirmed it.
INSERT INTO SYNC_Ledger (record_uuid, size_label, item_id, board_id, name, group_name, columns_json, active, version,
  updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: retire_sizes
-- Subitems go with their item.
UPDATE SYNC_Ledger SET active = 0, updated_at = ? WHERE record_uuid = ? AND size_label <> ''

-- name: groups
-- The groups of a board that are known.
SELECT group_name, group_id FROM SYNC_Groups WHERE board_id = ?

-- name: remember_group
-- A group, once.
INSERT INTO SYNC_Groups (board_id, group_name, group_id)
SELECT CAST(? AS NVARCHAR(20)), CAST(? AS NVARCHAR(255)), CAST(? AS NVARCHAR(255))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Groups WHERE board_id = ? AND group_name = ?)

-- name: forget_groups
-- The board was read again.
DELETE FROM SYNC_Groups WHERE board_id = ?

-- name: open_request
-- Intent before effect: the exact body and its key, once.
INSERT INTO SYNC_Requests (request_key, lease_token, body, mutations, created_at, first_sent_at, attempts)
SELECT CAST(? AS NVARCHAR(64)), CAST(? AS BIGINT), ?, ?,
  CAST(? AS NVARCHAR(26)), CAST(? AS NVARCHAR(26)), 1
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Requests WHERE request_key = ?)

-- name: resend_request
-- One more attempt of the same body under the same key.
UPDATE SYNC_Requests SET attempts = attempts + 1, lease_token = ?
WHERE request_key = ? AND finished_at IS NULL

-- name: close_request
-- The outcome of a request, if no other process became the writer meanwhile. A lease that only ran out will do: what
-- is recorded took place.
UPDATE SYNC_Requests SET finished_at = ?, outcome = ?, request_id = ?, http_status = ?
WHERE request_key = ? AND finished_at IS NULL
  AND EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ? AND owner = ? AND token = ?)

-- name: open_requests
-- Requests that left, or were about to leave, and whose outcome nobody recorded.
SELECT request_key, body, mutations, first_sent_at, attempts FROM SYNC_Requests
WHERE finished_at IS NULL ORDER BY first_sent_at, request_key

-- name: requests_since
-- Calls and mutations since a moment.
SELECT COUNT(*) AS requests, COALESCE(SUM(attempts), 0) AS calls FROM SYNC_Requests WHERE first_sent_at >= ?

-- name: ensure_lease
-- The row of a lease.
INSERT INTO SYNC_Lease (name, owner, token, expires_at)
SELECT CAST(? AS NVARCHAR(100)), NULL, 0, CAST(? AS NVARCHAR(26))
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Lease WHERE name = ?)

-- name: acquire_lease
-- Takes a free or expired lease, with a new epoch.
UPDATE SYNC_Lease SET owner = ?, token = token + 1, expires_at = ?
WHERE name = ? AND (owner IS NULL OR expires_at < ?)

-- name: renew_lease
-- Keeps a lease that is still ours.
UPDATE SYNC_Lease SET expires_at = ? WHERE name = ? AND owner = ? AND token = ? AND expires_at >= ?

-- name: release_lease
-- Lets the next one in at once.
UPDATE SYNC_Lease SET owner = NULL, expires_at = ? WHERE name = ? AND owner = ? AND token = ?

-- name: lease
-- Who may write.
SELECT owner, token, expires_at FROM SYNC_Lease WHERE name = ?

-- name: stage_left_size
-- A size that left the order: it is written as 0, so it is staged as 0.
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
-- Sizes that need no call: the board shows them already.
UPDATE STG_MON_CustMasterSchedule_Subitems
SET stg_status = 'API_SUCCESS', stg_processed_date = ?,
  subitem_id = (SELECT g.item_id FROM SYNC_Ledger AS g WHERE g.record_uuid = STG_MON_CustMasterSchedule_Subitems.source_uuid
    AND g.size_label = STG_MON_CustMasterSchedule_Subitems.stg_size_label),
  subitem_board_id = (SELECT g.board_id FROM SYNC_Ledger AS g WHERE g.record_uuid = STG_MON_CustMasterSchedule_Subitems.source_uuid
    AND g.size_label = STG_MON_CustMasterSchedule_Subitems.stg_size_label),
  parent_item_id = ?, stg_monday_parent_item_id = ?
WHERE source_uuid = ? AND version = ?
