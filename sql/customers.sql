-- name: rows
-- The source rows of some raw customer names, in pieces of canonical text, with version and state of the snapshot row.
SELECT {uuid_text} AS record_uuid, p.version, p.sync_state, {texts}
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
WHERE {uuid_text} IS NOT NULL AND s.[CUSTOMER NAME] IN ({marks})

-- name: known
-- The snapshot rows of these orders.
SELECT p.record_uuid, p.row_hash, p.sync_state, p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.record_uuid IN ({marks})

-- name: known_of
-- The snapshot rows of a customer's orders that are on the board or on their way.
SELECT p.record_uuid, p.row_hash, p.sync_state, p.customer FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.customer = ? AND p.row_hash <> 'DELETED'

-- name: forgotten
-- The number of a customer's orders that wait to be detected once more.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.sync_state = 'WAITING' AND p.row_hash = '' AND p.customer = ?

-- name: waiting
-- The number of a customer's orders that are on their way.
SELECT COUNT(*) AS n FROM ORDERS_UNIFIED_SNAPSHOT AS p WHERE p.sync_state = 'WAITING' AND p.customer = ?

-- name: forget
-- Has an order detected once more: an empty hash differs from every row, and the order counts as deleted if its row has
-- left.
UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '', sync_state = 'WAITING', planned_mutations = 0 WHERE record_uuid = ?

-- name: states_beside
-- Orders by customer and state, without customers on hold and without orders whose source rows name such a customer
-- now.
SELECT p.customer, p.sync_state, COUNT(*) AS orders, SUM(p.planned_mutations) AS mutations
FROM ORDERS_UNIFIED_SNAPSHOT AS p
WHERE p.row_hash <> 'DELETED' AND COALESCE(p.customer, '') NOT IN ({customer_marks})
  AND p.record_uuid NOT IN (SELECT {uuid_text} FROM ORDERS_UNIFIED AS s
    WHERE {uuid_text} IS NOT NULL AND s.[CUSTOMER NAME] IN ({name_marks}))
GROUP BY p.customer, p.sync_state

-- name: held_rows
-- The number of source rows of customers on hold, by raw customer name and customer of the snapshot row, without
-- refused rows.
SELECT {name_text} AS name, p.customer, COUNT(*) AS orders
FROM ORDERS_UNIFIED AS s
LEFT JOIN ORDERS_UNIFIED_SNAPSHOT AS p ON p.record_uuid = {uuid_text}
WHERE {uuid_text} IS NOT NULL AND (p.customer IN ({customer_marks}) OR s.[CUSTOMER NAME] IN ({name_marks}))
  AND {uuid_text} NOT IN (SELECT {uuid_text} FROM ORDERS_UNIFIED AS s WHERE {uuid_text} IS NOT NULL
    GROUP BY {uuid_text} HAVING COUNT(*) > 1)
GROUP BY s.[CUSTOMER NAME], p.customer
