-- name: rows
-- The rows of some raw customer names: version and state of the snapshot, and the canonical text in pieces.
SELECT s.record_uuid, p.version, p.sync_state, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
WHERE s.record_uuid IS NOT NULL AND s.[CUSTOMER NAME] IN ({marks})

-- name: known
-- What the snapshots say of these orders.
SELECT p.record_uuid, p.row_hash, p.sync_state, p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.record_uuid IN ({marks})

-- name: known_of
-- The orders of one customer that are shown or on their way, as their snapshots know.
SELECT p.record_uuid, p.row_hash, p.sync_state, p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.customer = ? AND p.row_hash <> 'DELETED'

-- name: forgotten
-- Orders of one customer that wait to be detected again.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.sync_state = 'WAITING' AND p.row_hash = '' AND p.customer = ?

-- name: waiting
-- Orders of one customer that are on their way.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.sync_state = 'WAITING' AND p.customer = ?

-- name: forget
-- An order that is to be detected again: an empty hash differs from every row, and a row that left is missed by it.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', sync_state = 'WAITING', planned_mutations = 0 WHERE record_uuid = ?

-- name: states_beside
-- Orders by customer and state, without customers on hold, and without orders whose rows say that they are theirs now.
SELECT p.customer, p.sync_state, COUNT(*) AS orders, SUM(p.planned_mutations) AS mutations
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED' AND COALESCE(p.customer, '') NOT IN ({customer_marks})
  AND p.record_uuid NOT IN (SELECT s.record_uuid FROM ORDERS_UNIFIED AS s
    WHERE s.record_uuid IS NOT NULL AND s.[CUSTOMER NAME] IN ({name_marks}))
GROUP BY p.customer, p.sync_state

-- name: held_rows
-- The rows of customers on hold, by the name they carry and the customer their snapshots know; refused ones left out.
SELECT s.[CUSTOMER NAME] AS name, p.customer, COUNT(*) AS orders
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = s.record_uuid
WHERE s.record_uuid IS NOT NULL AND (p.customer IN ({customer_marks}) OR s.[CUSTOMER NAME] IN ({name_marks}))
  AND s.record_uuid NOT IN (SELECT d.record_uuid FROM ORDERS_UNIFIED AS d WHERE d.record_uuid IS NOT NULL
    GROUP BY d.record_uuid HAVING COUNT(*) > 1)
GROUP BY s.[CUSTOMER NAME], p.customer
