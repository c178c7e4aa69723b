"""What happens, in order.

detect   ORDERS_UNIFIED, compared with its snapshot       → orders.changed
stage    validate, convert, melt sizes, write STG rows    → orders.staged   (or orders.failed)
sync     plan the difference, tell Monday.com             → orders.synced   (or orders.failed)
settle   promote STG to production, or write the ERR row  → orders.dead-letter, when it may be tried again
retry    ERR rows whose time has come                     → orders.staged
"""
