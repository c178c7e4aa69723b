-- name: listed
-- The orders in production that have warnings.
SELECT m.source_uuid, m.version, m.[CUSTOMER] AS customer, m.[AAG ORDER NUMBER] AS order_number, m.warnings
FROM MON_CustMasterSchedule AS m WHERE m.warnings IS NOT NULL
ORDER BY m.[CUSTOMER], m.[AAG ORDER NUMBER], m.source_uuid

-- name: stored
-- The same, to be counted.
SELECT m.warnings FROM MON_CustMasterSchedule AS m WHERE m.warnings IS NOT NULL
