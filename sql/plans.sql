-- name: plan
-- A plan as it was made.
SELECT p.plan_id, p.state, p.plan_json FROM SYNC_Plans AS p WHERE p.plan_id = ?

-- name: changes
-- The changes of a plan.
SELECT r.record_uuid, r.[change], r.row_hash FROM SYNC_PlanRows AS r WHERE r.plan_id = ?

-- name: of_state
-- The plans in this state, the oldest first.
SELECT p.plan_id, p.plan_json FROM SYNC_Plans AS p WHERE p.state = ? ORDER BY p.made_at

-- name: add_plan
-- Adds a plan, once.
INSERT INTO SYNC_Plans (plan_id, made_at, state, plan_json)
SELECT CAST(? AS NVARCHAR(20)), CAST(? AS NVARCHAR(26)), CAST(? AS NVARCHAR(20)), ?
WHERE NOT EXISTS (SELECT 1 FROM SYNC_Plans WHERE plan_id = ?)

-- name: replace_plan
-- A plan that is held once more: what was accepted of it before is emitted.
UPDATE SYNC_Plans SET made_at = ?, state = ?, plan_json = ? WHERE plan_id = ?

-- name: add_change
-- One change of a plan.
INSERT INTO SYNC_PlanRows (plan_id, record_uuid, [change], row_hash) VALUES (?, ?, ?, ?)

-- name: accept
-- An operator accepts a plan.
UPDATE SYNC_Plans SET state = 'ACCEPTED', accepted_at = ? WHERE plan_id = ?

-- name: end
-- A plan that is emitted, or forgotten.
UPDATE SYNC_Plans SET state = ? WHERE plan_id = ?

-- name: forget_changes
-- Removes the changes of a plan.
DELETE FROM SYNC_PlanRows WHERE plan_id = ?
