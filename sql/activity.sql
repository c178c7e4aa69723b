-- name: carried_out
-- The mutations of every request that reached the board.
SELECT mutations FROM SYNC_Requests WHERE outcome IN ('DONE', 'PARTIAL')
