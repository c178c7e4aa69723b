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

-- name: supersede_older
-- Versions that no one has begun to write, and that a newer one replaces.
UPDATE STG_MON_CustMasterSchedule SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE source_uuid = ? AND version < ? AND stg_status = 'PENDING'

-- name: supersede_older_sizes
-- Their sizes; before the orders themselves.
UPDATE STG_MON_CustMasterSchedule_Subitems SET stg_status = 'SUPERSEDED', stg_processed_date = ?
WHERE stg_parent_stg_id IN (SELECT s.stg_id FROM STG_MON_CustMasterSchedule AS s
  WHERE s.source_uuid = ? AND s.version < ? AND s.stg_status = 'PENDING')

-- name: batches_of_older
-- The batches whose counters that changes.
SELECT s.stg_batch_id FROM STG_MON_CustMasterSchedule AS s
WHERE s.source_uuid = ? AND s.version < ? AND s.stg_status = 'PENDING'
