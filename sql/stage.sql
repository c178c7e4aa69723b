-- name: staged_versions
-- What is staged of these orders already.
SELECT source_uuid, version, stg_status, validation_status, stg_id FROM STG_MON_CustMasterSchedule
WHERE source_uuid IN ({marks})

-- name: insert_order
-- One staged order.
INSERT INTO STG_MON_CustMasterSchedule ({columns}) VALUES ({marks})

-- name: insert_subitem
-- One size of a staged order.
INSERT INTO STG_MON_CustMasterSchedule_Subitems ({columns}) VALUES ({marks})

-- name: pending_versions
-- What no one has begun to write, of these orders, and the batches that count it.
SELECT s.stg_id, s.source_uuid, s.version, s.stg_batch_id FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid IN ({marks}) AND s.stg_status = 'PENDING'

-- name: supersede
-- A version that no one has begun to write, and that a newer one replaces.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_id = ? AND stg_status = 'PENDING'

-- name: supersede_sizes
-- Its sizes; before the order itself.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_parent_stg_id IN (SELECT s.stg_id FROM STG_MON_CustMasterSchedule AS s
  WHERE s.stg_id = ? AND s.stg_status = 'PENDING')
