-- Written by `python -m sql.script` from sql/tables/*.csv, for sqlserver. Do not edit.

-- `ordersync setup` does the same, and widens columns of older tables.

SET QUOTED_IDENTIFIER ON
GO

-- The source: orders as the business keeps them. Only ever read.
IF OBJECT_ID(N'dbo.ORDERS_UNIFIED', N'U') IS NULL
CREATE TABLE [dbo].[ORDERS_UNIFIED] (
    [AAG ORDER NUMBER] NVARCHAR(MAX) NULL,
    [CUSTOMER NAME] NVARCHAR(MAX) NULL,
    [ORDER DATE PO RECEIVED] DATE NULL,
    [CUSTOMER ALT PO] NVARCHAR(MAX) NULL,
    [AAG SEASON] NVARCHAR(MAX) NULL,
    [CUSTOMER SEASON] NVARCHAR(MAX) NULL,
    [DROP] NVARCHAR(MAX) NULL,
    [MONTH] NVARCHAR(MAX) NULL,
    [RANGE / COLLECTION] NVARCHAR(MAX) NULL,
    [PROMO GROUP / CAMPAIGN (HOT 30/GLOBAL EDIT] NVARCHAR(MAX) NULL,
    [CATEGORY] NVARCHAR(MAX) NULL,
    [PATTERN ID] NVARCHAR(MAX) NULL,
    [MAKE OR BUY] NVARCHAR(MAX) NULL,
    [PLANNER] NVARCHAR(MAX) NULL,
    [ORIGINAL ALIAS/RELATED ITEM] NVARCHAR(MAX) NULL,
    [PRICING ALIAS/RELATED ITEM] NVARCHAR(MAX) NULL,
    [ALIAS/RELATED ITEM] NVARCHAR(MAX) NULL,
    [CUSTOMER STYLE] NVARCHAR(MAX) NULL,
    [CUSTOMER''S COLOUR CODE (CUSTOM FIELD) CUSTOMER PROVIDES THIS] NVARCHAR(MAX) NULL,
    [ACTIVE] NVARCHAR(MAX) NULL,
    [All] NVARCHAR(MAX) NULL,
    [Multiple Items] NVARCHAR(MAX) NULL,
    [FACILITY CODE] NVARCHAR(MAX) NULL,
    [BULK AGREEMENT NUMBER] NVARCHAR(MAX) NULL,
    [Sum of TOTAL QTY] INT NULL,
    [BULK AGREEMENT DESCRIPTION] NVARCHAR(MAX) NULL,
    [CUSTOMER CODE] NVARCHAR(MAX) NULL,
    [CO NUMBER - INITIAL DISTRO] NVARCHAR(MAX) NULL,
    [CO NUMBER (INITIAL DISTRO)] NVARCHAR(MAX) NULL,
    [CO NUMBER (ALLOCATION DISTRO)] NVARCHAR(MAX) NULL,
    [CO NUMBER - ALLOCATION DISTRO] NVARCHAR(MAX) NULL,
    [PO NUMBER] NVARCHAR(MAX) NULL,
    [AAG SEASON CODE] NVARCHAR(MAX) NULL,
    [INFOR MAKE/BUY CODE] NVARCHAR(MAX) NULL,
    [PLANNER2] NVARCHAR(MAX) NULL,
    [ITEM TYPE CODE] NVARCHAR(MAX) NULL,
    [INFOR ITEM TYPE CODE] NVARCHAR(MAX) NULL,
    [PRODUCT GROUP CODE] NVARCHAR(MAX) NULL,
    [MAKE/BUY CODE] NVARCHAR(MAX) NULL,
    [INFOR PRODUCT GROUP CODE] NVARCHAR(MAX) NULL,
    [ITEM GROUP CODE] NVARCHAR(MAX) NULL,
    [STYLE DESCRIPTION] NVARCHAR(MAX) NULL,
    [INFOR ITEM GROUP CODE] NVARCHAR(MAX) NULL,
    [GENDER GROUP CODE] NVARCHAR(MAX) NULL,
    [INFOR GENDER GROUP CODE] NVARCHAR(MAX) NULL,
    [FABRIC TYPE CODE] NVARCHAR(MAX) NULL,
    [INFOR FABRIC TYPE CODE] NVARCHAR(MAX) NULL,
    [CUSTOMER COLOUR DESCRIPTION] NVARCHAR(MAX) NULL,
    [UNIT OF MEASURE] NVARCHAR(MAX) NULL,
    [INFOR COLOUR CODE] NVARCHAR(MAX) NULL,
    [XXXS] INT NULL,
    [XXS] INT NULL,
    [XS] INT NULL,
    [S] INT NULL,
    [S/M] INT NULL,
    [M] INT NULL,
    [M/L] INT NULL,
    [L] INT NULL,
    [L/XL] INT NULL,
    [XL] INT NULL,
    [XXL] INT NULL,
    [XXXL] INT NULL,
    [0] INT NULL,
    [2] INT NULL,
    [4] INT NULL,
    [6] INT NULL,
    [8] INT NULL,
    [10] INT NULL,
    [12] INT NULL,
    [14] INT NULL,
    [16] INT NULL,
    [18] INT NULL,
    [20] INT NULL,
    [0-3M] INT NULL,
    [3-6M] INT NULL,
    [6-9M] INT NULL,
    [9-12M] INT NULL,
    [12-18M] INT NULL,
    [18-24M] INT NULL,
    [2T] INT NULL,
    [3T] INT NULL,
    [4T] INT NULL,
    [5T] INT NULL,
    [6T] INT NULL,
    [30/30] INT NULL,
    [30/32] INT NULL,
    [32/30] INT NULL,
    [32/32] INT NULL,
    [34/30] INT NULL,
    [34/32] INT NULL,
    [36/30] INT NULL,
    [36/32] INT NULL,
    [32C] INT NULL,
    [32D] INT NULL,
    [32DD] INT NULL,
    [34C] INT NULL,
    [34D] INT NULL,
    [34DD] INT NULL,
    [36C] INT NULL,
    [36D] INT NULL,
    [36DD] INT NULL,
    [OS] INT NULL,
    [ONE SIZE] INT NULL,
    [0w] INT NULL,
    [10w] INT NULL,
    [12w] INT NULL,
    [1X] INT NULL,
    [2/3] INT NULL,
    [22] INT NULL,
    [24] INT NULL,
    [26] INT NULL,
    [27] INT NULL,
    [28] INT NULL,
    [28-30L] INT NULL,
    [29] INT NULL,
    [2w] INT NULL,
    [2X] INT NULL,
    [2XL] INT NULL,
    [30] INT NULL,
    [30-30L] INT NULL,
    [30-31L] INT NULL,
    [30-32L] INT NULL,
    [30X30] INT NULL,
    [31] INT NULL,
    [31/30] INT NULL,
    [31/32] INT NULL,
    [31-30L] INT NULL,
    [31-31L] INT NULL,
    [31-32L] INT NULL,
    [31X30] INT NULL,
    [32] INT NULL,
    [32/34] INT NULL,
    [32/36] INT NULL,
    [32-30L] INT NULL,
    [32-31L] INT NULL,
    [32-32L] INT NULL,
    [32DDD] INT NULL,
    [32X30] INT NULL,
    [33] INT NULL,
    [33/30] INT NULL,
    [33/32] INT NULL,
    [33-30L] INT NULL,
    [33-31L] INT NULL,
    [33-32L] INT NULL,
    [34] INT NULL,
    [34/34] INT NULL,
    [34-30L] INT NULL,
    [34-31L] INT NULL,
    [34-32L] INT NULL,
    [34DDD] INT NULL,
    [34X30] INT NULL,
    [35] INT NULL,
    [35/30] INT NULL,
    [35/32] INT NULL,
    [35-30L] INT NULL,
    [35-31L] INT NULL,
    [35-32L] INT NULL,
    [36] INT NULL,
    [36/34] INT NULL,
    [36-30L] INT NULL,
    [36-31L] INT NULL,
    [36-32L] INT NULL,
    [36DDD] INT NULL,
    [36X30] INT NULL,
    [38] INT NULL,
    [38/30] INT NULL,
    [38/32] INT NULL,
    [38/34] INT NULL,
    [38/36] INT NULL,
    [38-30L] INT NULL,
    [38-31L] INT NULL,
    [38-32L] INT NULL,
    [38C] INT NULL,
    [38D] INT NULL,
    [38DD] INT NULL,
    [38DDD] INT NULL,
    [38X30] INT NULL,
    [3X] INT NULL,
    [3XL] INT NULL,
    [4/5] INT NULL,
    [40] INT NULL,
    [40/30] INT NULL,
    [40/32] INT NULL,
    [40-30L] INT NULL,
    [40-31L] INT NULL,
    [40X30] INT NULL,
    [42] INT NULL,
    [44] INT NULL,
    [46] INT NULL,
    [48] INT NULL,
    [4w] INT NULL,
    [4X] INT NULL,
    [4XL] INT NULL,
    [4XT] INT NULL,
    [5] INT NULL,
    [50] INT NULL,
    [52] INT NULL,
    [54] INT NULL,
    [56] INT NULL,
    [58] INT NULL,
    [6/7] INT NULL,
    [60] INT NULL,
    [6w] INT NULL,
    [7] INT NULL,
    [8w] INT NULL,
    [9] INT NULL,
    [L(10-12)] INT NULL,
    [L(14-16)] INT NULL,
    [M(10-12)] INT NULL,
    [M(8-10)] INT NULL,
    [S(6-8)] INT NULL,
    [TOTAL QTY] INT NULL,
    [ORDER TYPE] NVARCHAR(MAX) NULL,
    [DESTINATION] NVARCHAR(MAX) NULL,
    [DESTINATION WAREHOUSE] NVARCHAR(MAX) NULL,
    [ALLOCATION (CHANNEL)] NVARCHAR(MAX) NULL,
    [SHOP NAME] NVARCHAR(MAX) NULL,
    [COLLECTION DELIVERY] NVARCHAR(MAX) NULL,
    [SHOP CODE] NVARCHAR(MAX) NULL,
    [TRACKING NUMBER] NVARCHAR(MAX) NULL,
    [ETA CUSTOMER WAREHOUSE DATE] DATE NULL,
    [EX FACTORY DATE] DATE NULL,
    [DELIVERY TERMS] NVARCHAR(MAX) NULL,
    [PLANNED DELIVERY METHOD] NVARCHAR(MAX) NULL,
    [DELIVERY CODE (MODL)] NVARCHAR(MAX) NULL,
    [NOTES] NVARCHAR(MAX) NULL,
    [VALIDATION] NVARCHAR(MAX) NULL,
    [VALIDATION2] NVARCHAR(MAX) NULL,
    [VALIDATION3] NVARCHAR(MAX) NULL,
    [VALIDATION4] NVARCHAR(MAX) NULL,
    [CUSTOMER PRICE] NVARCHAR(MAX) NULL,
    [USA ONLY LSTP 75% EX WORKS] NVARCHAR(MAX) NULL,
    [EX WORKS (USD)] NVARCHAR(MAX) NULL,
    [ADMINISTRATION FEE] NVARCHAR(MAX) NULL,
    [DESIGN FEE] NVARCHAR(MAX) NULL,
    [FX CHARGE] NVARCHAR(MAX) NULL,
    [HANDLING] NVARCHAR(MAX) NULL,
    [PNP] NVARCHAR(MAX) NULL,
    [SURCHARGE FEE] NVARCHAR(MAX) NULL,
    [DISCOUNT] NVARCHAR(MAX) NULL,
    [FINAL FOB (USD)] NVARCHAR(MAX) NULL,
    [HS CODE] NVARCHAR(MAX) NULL,
    [US DUTY RATE] NVARCHAR(MAX) NULL,
    [US DUTY] NVARCHAR(MAX) NULL,
    [FREIGHT] NVARCHAR(MAX) NULL,
    [US TARIFF RATE] NVARCHAR(MAX) NULL,
    [US TARIFF] NVARCHAR(MAX) NULL,
    [DDP US (USD)] NVARCHAR(MAX) NULL,
    [UK DUTY RATE] NVARCHAR(MAX) NULL,
    [UK FREIGHT] NVARCHAR(MAX) NULL,
    [UK INSURANCE] NVARCHAR(MAX) NULL,
    [UK CIF] NVARCHAR(MAX) NULL,
    [UK DUTY] NVARCHAR(MAX) NULL,
    [DDP UK (USD)] NVARCHAR(MAX) NULL,
    [CAN DUTY RATE] NVARCHAR(MAX) NULL,
    [CAN DUTY] NVARCHAR(MAX) NULL,
    [DDP CAN (USD)] NVARCHAR(MAX) NULL,
    [SMS PRICE USD] NVARCHAR(MAX) NULL,
    [FINAL PRICES Y/N] NVARCHAR(MAX) NULL,
    [NOTES FOR PRICE] NVARCHAR(MAX) NULL,
    [PRICING NOTES] NVARCHAR(MAX) NULL,
    [Delta] NVARCHAR(MAX) NULL,
    [Warehouse] NVARCHAR(MAX) NULL,
    [ORTP (ORDER TYPE)] NVARCHAR(MAX) NULL,
    [Longson Alias] NVARCHAR(MAX) NULL,
    [BUAR (BUSINESS AREA UNIT)] NVARCHAR(MAX) NULL,
    [ADID] NVARCHAR(MAX) NULL,
    [record_uuid] UNIQUEIDENTIFIER NULL
)
GO

-- The last version of each source row that was emitted and the last one that was settled.
IF OBJECT_ID(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'U') IS NULL
CREATE TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] (
    [record_uuid] UNIQUEIDENTIFIER NOT NULL,
    [row_hash] NVARCHAR(64) NOT NULL,
    [AAG ORDER NUMBER] NVARCHAR(255) NOT NULL,
    [CUSTOMER NAME] NVARCHAR(255) NULL,
    [CUSTOMER STYLE] NVARCHAR(255) NULL,
    [CUSTOMER COLOUR DESCRIPTION] NVARCHAR(255) NULL,
    [PO NUMBER] NVARCHAR(255) NULL,
    [CUSTOMER ALT PO] NVARCHAR(255) NULL,
    [ACTIVE] NVARCHAR(10) NULL,
    [snapshot_date] DATETIME2 NOT NULL DEFAULT getdate(),
    [customer_filter] NVARCHAR(255) NOT NULL DEFAULT 'ALL',
    [batch_id] UNIQUEIDENTIFIER NULL,
    [records_count] INT NULL,
    [parquet_archive_id] BIGINT NULL,
    [ORDER_QTY] INT NULL,
    [TOTAL_QTY] INT NULL,
    [version] BIGINT NOT NULL,
    [settled_version] BIGINT NOT NULL DEFAULT 0,
    [failed_version] BIGINT NOT NULL DEFAULT 0,
    [settled_hash] NVARCHAR(64) NULL,
    [sync_state] NVARCHAR(20) NOT NULL DEFAULT 'WAITING',
    [planned_mutations] INT NOT NULL DEFAULT 0,
    [row_hash_bin] VARBINARY(32) NULL,
    [row_hash_bin_of] NVARCHAR(64) NULL,
    [customer] NVARCHAR(255) NULL,
    CONSTRAINT [PK_ORDERS_UNIFIED_SNAPSHOT] PRIMARY KEY ([record_uuid])
)
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'version') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'settled_version') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [settled_version] BIGINT NOT NULL DEFAULT 0
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'failed_version') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [failed_version] BIGINT NOT NULL DEFAULT 0
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'settled_hash') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [settled_hash] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'sync_state') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [sync_state] NVARCHAR(20) NOT NULL DEFAULT 'WAITING'
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'planned_mutations') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [planned_mutations] INT NOT NULL DEFAULT 0
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'row_hash_bin') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [row_hash_bin] VARBINARY(32) NULL
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'row_hash_bin_of') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [row_hash_bin_of] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'customer') IS NULL
ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD [customer] NVARCHAR(255) NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_Snapshot_State' AND object_id = OBJECT_ID(N'dbo.ORDERS_UNIFIED_SNAPSHOT'))
CREATE INDEX [IX_Snapshot_State] ON [dbo].[ORDERS_UNIFIED_SNAPSHOT] ([sync_state])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_Snapshot_Customer' AND object_id = OBJECT_ID(N'dbo.ORDERS_UNIFIED_SNAPSHOT'))
CREATE INDEX [IX_Snapshot_Customer] ON [dbo].[ORDERS_UNIFIED_SNAPSHOT] ([CUSTOMER NAME])
GO

-- Staged orders on their way to the board: one row per order and version.
IF OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule', N'U') IS NULL
CREATE TABLE [dbo].[STG_MON_CustMasterSchedule] (
    [Title] NVARCHAR(MAX) NULL,
    [UpdateDate] NVARCHAR(MAX) NULL,
    [Group] NVARCHAR(MAX) NULL,
    [Subitems] NVARCHAR(MAX) NULL,
    [CUSTOMER] NVARCHAR(200) NULL,
    [AAG ORDER NUMBER] NVARCHAR(200) NULL,
    [AAG SEASON] NVARCHAR(200) NULL,
    [ORDER DATE PO RECEIVED] DATE NULL,
    [CUSTOMER SEASON] NVARCHAR(MAX) NULL,
    [DROP] NVARCHAR(MAX) NULL,
    [PO NUMBER] NVARCHAR(200) NULL,
    [CUSTOMER ALT PO] NVARCHAR(200) NULL,
    [STYLE] NVARCHAR(200) NULL,
    [STYLE DESCRIPTION] NVARCHAR(500) NULL,
    [ALIAS RELATED ITEM] NVARCHAR(200) NULL,
    [COLOR] NVARCHAR(200) NULL,
    [CATEGORY] NVARCHAR(MAX) NULL,
    [PATTERN ID] NVARCHAR(MAX) NULL,
    [UNIT OF MEASURE] NVARCHAR(MAX) NULL,
    [FCST QTY] DECIMAL(18,4) NULL,
    [FCST CONSUMED QTY] DECIMAL(18,4) NULL,
    [ORDER QTY] BIGINT NULL,
    [PACKED QTY] BIGINT NULL,
    [SHIPPED QTY] BIGINT NULL,
    [Net Demand] BIGINT NULL,
    [ORDER TYPE] NVARCHAR(MAX) NULL,
    [DESTINATION] NVARCHAR(MAX) NULL,
    [DESTINATION WAREHOUSE] NVARCHAR(MAX) NULL,
    [CUSTOMER REQ IN DC DATE] DATE NULL,
    [CUSTOMER EX FACTORY DATE] DATE NULL,
    [DELIVERY TERMS] NVARCHAR(MAX) NULL,
    [PLANNED DELIVERY METHOD] NVARCHAR(MAX) NULL,
    [NOTES] NVARCHAR(MAX) NULL,
    [CUSTOMER PRICE] DECIMAL(18,4) NULL,
    [USA ONLY LSTP 75% EX WORKS] DECIMAL(18,4) NULL,
    [EX WORKS (USD)] DECIMAL(18,4) NULL,
    [ADMINISTRATION FEE] DECIMAL(18,4) NULL,
    [DESIGN FEE] DECIMAL(18,4) NULL,
    [FX CHARGE] DECIMAL(18,4) NULL,
    [HANDLING] NVARCHAR(255) NULL,
    [SURCHARGE FEE] DECIMAL(18,4) NULL,
    [DISCOUNT] DECIMAL(18,4) NULL,
    [FINAL FOB (USD)] DECIMAL(18,4) NULL,
    [HS CODE] NVARCHAR(MAX) NULL,
    [US DUTY RATE] DECIMAL(18,4) NULL,
    [US DUTY] DECIMAL(18,4) NULL,
    [FREIGHT] DECIMAL(18,4) NULL,
    [US TARIFF RATE] DECIMAL(18,4) NULL,
    [US TARIFF] DECIMAL(18,4) NULL,
    [DDP US (USD)] DECIMAL(18,4) NULL,
    [SMS PRICE USD] DECIMAL(18,4) NULL,
    [FINAL PRICES Y/N] NVARCHAR(MAX) NULL,
    [NOTES FOR PRICE] NVARCHAR(MAX) NULL,
    [Item ID] BIGINT NULL,
    [matchAlias] NVARCHAR(MAX) NULL,
    [PLANNING BOARD] NVARCHAR(MAX) NULL,
    [REQUESTED XFD STATUS] NVARCHAR(MAX) NULL,
    [EX-FTY (Change Request)] DATE NULL,
    [EX-FTY (Forecast)] DATE NULL,
    [EX-FTY (Partner PO)] DATE NULL,
    [EX-FTY (Revised LS)] DATE NULL,
    [PRODUCTION TYPE] NVARCHAR(MAX) NULL,
    [AQL INSPECTION] NVARCHAR(MAX) NULL,
    [AQL TYPE] NVARCHAR(MAX) NULL,
    [PLANNED CUT DATE] DATE NULL,
    [MO NUMBER] NVARCHAR(MAX) NULL,
    [PRODUCTION STATUS] NVARCHAR(MAX) NULL,
    [FACTORY COUNTRY] NVARCHAR(MAX) NULL,
    [FACTORY] NVARCHAR(MAX) NULL,
    [ALLOCATION STATUS] NVARCHAR(MAX) NULL,
    [PRODUCTION QTY] BIGINT NULL,
    [TRIM ETA DATE] DATE NULL,
    [FABRIC ETA DATE] DATE NULL,
    [TRIM STATUS] NVARCHAR(MAX) NULL,
    [ADD TO PLANNING] NVARCHAR(MAX) NULL,
    [FABRIC STATUS] NVARCHAR(MAX) NULL,
    [PPS STATUS] NVARCHAR(MAX) NULL,
    [PPS CMT DUE] DATE NULL,
    [PPS CMT RCV] DATE NULL,
    [REVENUE (FOB)] DECIMAL(18,4) NULL,
    [ORDER STATUS] NVARCHAR(MAX) NULL,
    [stg_id] BIGINT NOT NULL,
    [stg_batch_id] UNIQUEIDENTIFIER NOT NULL DEFAULT newid(),
    [stg_customer_batch] NVARCHAR(100) NULL,
    [stg_status] NVARCHAR(50) NULL DEFAULT 'PENDING',
    [stg_monday_item_id] BIGINT NULL,
    [stg_error_message] NVARCHAR(MAX) NULL,
    [stg_api_payload] NVARCHAR(MAX) NULL,
    [stg_retry_count] INT NULL DEFAULT 0,
    [stg_created_date] DATETIME2 NULL DEFAULT getdate(),
    [stg_processed_date] DATETIME2 NULL,
    [RANGE / COLLECTION] NVARCHAR(200) NULL,
    [source_uuid] UNIQUEIDENTIFIER NULL,
    [update_operation] VARCHAR(50) NULL DEFAULT 'CREATE',
    [update_fields] NVARCHAR(MAX) NULL,
    [source_table] VARCHAR(100) NULL,
    [source_query] NVARCHAR(MAX) NULL,
    [update_batch_id] VARCHAR(50) NULL,
    [validation_status] VARCHAR(20) NULL DEFAULT 'PENDING',
    [validation_errors] NVARCHAR(MAX) NULL,
    [board_id] BIGINT NULL,
    [version] BIGINT NOT NULL,
    [row_hash] NVARCHAR(64) NOT NULL,
    [request_key] NVARCHAR(64) NULL,
    [first_sent_at] DATETIME2 NULL,
    [source_row] NVARCHAR(MAX) NULL,
    [kafka_partition] INT NULL,
    [kafka_offset] BIGINT NULL,
    [warnings] NVARCHAR(MAX) NULL,
    CONSTRAINT [PK_STG_MON_CustMasterSchedule] PRIMARY KEY ([stg_id])
)
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'version') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'row_hash') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [row_hash] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'request_key') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [request_key] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'first_sent_at') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [first_sent_at] DATETIME2 NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'source_row') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [source_row] NVARCHAR(MAX) NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'kafka_partition') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [kafka_partition] INT NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'kafka_offset') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [kafka_offset] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule', N'warnings') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule] ADD [warnings] NVARCHAR(MAX) NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_STG_Version' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule'))
CREATE UNIQUE INDEX [UX_STG_Version] ON [dbo].[STG_MON_CustMasterSchedule] ([source_uuid], [version]) WHERE [source_uuid] IS NOT NULL AND [version] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Uuid' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule'))
CREATE INDEX [IX_STG_Uuid] ON [dbo].[STG_MON_CustMasterSchedule] ([source_uuid], [version])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Status' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule'))
CREATE INDEX [IX_STG_Status] ON [dbo].[STG_MON_CustMasterSchedule] ([stg_status], [stg_id])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Batch' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule'))
CREATE INDEX [IX_STG_Batch] ON [dbo].[STG_MON_CustMasterSchedule] ([stg_batch_id], [stg_status], [stg_monday_item_id])
GO

-- Staged sizes of those orders: one row per order and version and size.
IF OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule_Subitems', N'U') IS NULL
CREATE TABLE [dbo].[STG_MON_CustMasterSchedule_Subitems] (
    [parent_item_id] NVARCHAR(MAX) NULL,
    [subitem_id] NVARCHAR(MAX) NULL,
    [subitem_board_id] NVARCHAR(MAX) NULL,
    [stg_id] BIGINT NOT NULL,
    [stg_batch_id] NVARCHAR(36) NOT NULL,
    [stg_parent_stg_id] BIGINT NULL,
    [stg_status] NVARCHAR(20) NOT NULL DEFAULT 'PENDING',
    [stg_created_date] DATETIME2 NOT NULL DEFAULT getdate(),
    [stg_processed_date] DATETIME2 NULL,
    [stg_monday_subitem_id] BIGINT NULL,
    [stg_monday_parent_item_id] BIGINT NULL,
    [stg_monday_subitem_board_id] BIGINT NULL,
    [stg_error_message] NVARCHAR(MAX) NULL,
    [stg_retry_count] INT NOT NULL DEFAULT 0,
    [stg_api_payload] NVARCHAR(MAX) NULL,
    [source_uuid] UNIQUEIDENTIFIER NULL,
    [AAG_ORDER_NUMBER] NVARCHAR(200) NULL,
    [STYLE] NVARCHAR(200) NULL,
    [COLOR] NVARCHAR(200) NULL,
    [PO_NUMBER] NVARCHAR(200) NULL,
    [CUSTOMER_ALT_PO] NVARCHAR(200) NULL,
    [CUSTOMER] NVARCHAR(200) NULL,
    [ORDER_QTY] INT NOT NULL,
    [UNIT_OF_MEASURE] NVARCHAR(MAX) NULL,
    [Size] NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    [stg_size_label] NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,
    [Order Qty] INT NULL,
    [Shipped Qty] INT NULL,
    [Packed Qty] INT NULL,
    [Cut Qty] INT NULL,
    [Sew Qty] INT NULL,
    [Finishing Qty] INT NULL,
    [Received not Shipped Qty] INT NULL,
    [ORDER LINE STATUS] NVARCHAR(100) NULL,
    [Item ID] BIGINT NULL,
    [update_operation] VARCHAR(50) NULL DEFAULT 'CREATE',
    [update_fields] NVARCHAR(MAX) NULL,
    [source_table] VARCHAR(100) NULL,
    [source_query] NVARCHAR(MAX) NULL,
    [update_batch_id] VARCHAR(50) NULL,
    [validation_status] VARCHAR(20) NULL DEFAULT 'PENDING',
    [validation_errors] NVARCHAR(MAX) NULL,
    [board_id] BIGINT NULL,
    [version] BIGINT NOT NULL,
    [row_hash] NVARCHAR(64) NOT NULL,
    [request_key] NVARCHAR(64) NULL,
    [first_sent_at] DATETIME2 NULL,
    CONSTRAINT [PK_STG_MON_CustMasterSchedule_Subitems] PRIMARY KEY ([stg_id])
)
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule_Subitems', N'version') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule_Subitems] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule_Subitems', N'row_hash') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule_Subitems] ADD [row_hash] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule_Subitems', N'request_key') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule_Subitems] ADD [request_key] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.STG_MON_CustMasterSchedule_Subitems', N'first_sent_at') IS NULL
ALTER TABLE [dbo].[STG_MON_CustMasterSchedule_Subitems] ADD [first_sent_at] DATETIME2 NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_STG_Subitems_Version' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule_Subitems'))
CREATE UNIQUE INDEX [UX_STG_Subitems_Version] ON [dbo].[STG_MON_CustMasterSchedule_Subitems] ([source_uuid], [version], [stg_size_label]) WHERE [source_uuid] IS NOT NULL AND [version] IS NOT NULL AND [stg_size_label] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Subitems_Uuid' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_STG_Subitems_Uuid] ON [dbo].[STG_MON_CustMasterSchedule_Subitems] ([source_uuid], [version])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Subitems_Parent' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_STG_Subitems_Parent] ON [dbo].[STG_MON_CustMasterSchedule_Subitems] ([stg_parent_stg_id])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_STG_Subitems_Batch' AND object_id = OBJECT_ID(N'dbo.STG_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_STG_Subitems_Batch] ON [dbo].[STG_MON_CustMasterSchedule_Subitems] ([stg_batch_id], [stg_status])
GO

-- Production: the orders that the board shows.
IF OBJECT_ID(N'dbo.MON_CustMasterSchedule', N'U') IS NULL
CREATE TABLE [dbo].[MON_CustMasterSchedule] (
    [Title] NVARCHAR(MAX) NULL,
    [UpdateDate] NVARCHAR(MAX) NULL,
    [Group] NVARCHAR(MAX) NULL,
    [Item ID] BIGINT NOT NULL,
    [Subitems] NVARCHAR(MAX) NULL,
    [ORDER TYPE] NVARCHAR(MAX) NULL,
    [QTY ORDERED] BIGINT NULL,
    [QTY PACKED] BIGINT NULL,
    [QTY SHIPPED] BIGINT NULL,
    [CUSTOMER] NVARCHAR(200) NULL,
    [AAG ORDER NUMBER] NVARCHAR(MAX) NULL,
    [AAG SEASON] NVARCHAR(200) NULL,
    [CUSTOMER SEASON] NVARCHAR(MAX) NULL,
    [ORDER DATE PO RECEIVED] DATE NULL,
    [DROP] NVARCHAR(MAX) NULL,
    [PO NUMBER] NVARCHAR(MAX) NULL,
    [CUSTOMER ALT PO] NVARCHAR(MAX) NULL,
    [STYLE] NVARCHAR(200) NULL,
    [PATTERN ID] NVARCHAR(MAX) NULL,
    [ALIAS RELATED ITEM] NVARCHAR(MAX) NULL,
    [STYLE DESCRIPTION] NVARCHAR(MAX) NULL,
    [COLOR] NVARCHAR(200) NULL,
    [CATEGORY] NVARCHAR(MAX) NULL,
    [UNIT OF MEASURE] NVARCHAR(MAX) NULL,
    [DESTINATION] NVARCHAR(MAX) NULL,
    [DESTINATION WAREHOUSE] NVARCHAR(MAX) NULL,
    [CUSTOMER REQ IN DC DATE] DATE NULL,
    [CUSTOMER EX FACTORY DATE] DATE NULL,
    [DELIVERY TERMS] NVARCHAR(MAX) NULL,
    [PLANNED DELIVERY METHOD] NVARCHAR(MAX) NULL,
    [NOTES] NVARCHAR(MAX) NULL,
    [CUSTOMER PRICE] DECIMAL(18,4) NULL,
    [USA ONLY LSTP 75% EX WORKS] DECIMAL(18,4) NULL,
    [EX WORKS (USD)] DECIMAL(18,4) NULL,
    [ADMINISTRATION FEE] DECIMAL(18,4) NULL,
    [DESIGN FEE] DECIMAL(18,4) NULL,
    [FX CHARGE] DECIMAL(18,4) NULL,
    [HANDLING] NVARCHAR(MAX) NULL,
    [SURCHARGE FEE] DECIMAL(18,4) NULL,
    [DISCOUNT] DECIMAL(18,4) NULL,
    [FINAL FOB (USD)] DECIMAL(18,4) NULL,
    [HS CODE] NVARCHAR(MAX) NULL,
    [US DUTY RATE] DECIMAL(18,4) NULL,
    [US DUTY] DECIMAL(18,4) NULL,
    [FREIGHT] DECIMAL(18,4) NULL,
    [US TARIFF RATE] DECIMAL(18,4) NULL,
    [US TARIFF] DECIMAL(18,4) NULL,
    [DDP US (USD)] DECIMAL(18,4) NULL,
    [SMS PRICE USD] DECIMAL(18,4) NULL,
    [FINAL PRICES Y/N] NVARCHAR(MAX) NULL,
    [NOTES FOR PRICE] NVARCHAR(MAX) NULL,
    [matchAlias] NVARCHAR(MAX) NULL,
    [PLANNING BOARD] NVARCHAR(MAX) NULL,
    [EX-FTY (Change Request)] DATE NULL,
    [REQUESTED XFD STATUS] NVARCHAR(MAX) NULL,
    [EX-FTY (Forecast)] DATE NULL,
    [EX-FTY (Partner PO)] DATE NULL,
    [EX-FTY (Revised LS)] DATE NULL,
    [PRODUCTION TYPE] NVARCHAR(MAX) NULL,
    [AQL INSPECTION] NVARCHAR(MAX) NULL,
    [AQL TYPE] NVARCHAR(MAX) NULL,
    [PLANNED CUT DATE] DATE NULL,
    [MO NUMBER] NVARCHAR(MAX) NULL,
    [PRODUCTION STATUS] NVARCHAR(MAX) NULL,
    [FACTORY COUNTRY] NVARCHAR(MAX) NULL,
    [FACTORY] NVARCHAR(MAX) NULL,
    [ALLOCATION STATUS] NVARCHAR(MAX) NULL,
    [PRODUCTION QTY] BIGINT NULL,
    [TRIM ETA DATE] DATE NULL,
    [FABRIC ETA DATE] DATE NULL,
    [TRIM STATUS] NVARCHAR(MAX) NULL,
    [FABRIC STATUS] NVARCHAR(MAX) NULL,
    [ORDER STATUS] NVARCHAR(MAX) NULL,
    [FCST QTY] DECIMAL(18,4) NULL,
    [FCST CONSUMED QTY] DECIMAL(18,4) NULL,
    [Net Demand] BIGINT NULL,
    [REVENUE (FOB)] DECIMAL(18,4) NULL,
    [ADD TO PLANNING] NVARCHAR(MAX) NULL,
    [ORDER QTY] BIGINT NULL,
    [PACKED QTY] BIGINT NULL,
    [SHIPPED QTY] BIGINT NULL,
    [PPS CMT DUE] DATE NULL,
    [PPS CMT RCV] DATE NULL,
    [PPS STATUS] NVARCHAR(MAX) NULL,
    [RANGE / COLLECTION] NVARCHAR(MAX) NULL,
    [Last updated] NVARCHAR(255) NULL,
    [source_uuid] UNIQUEIDENTIFIER NULL,
    [version] BIGINT NULL,
    [row_hash] NVARCHAR(64) NULL,
    [batch_id] NVARCHAR(36) NULL,
    [promoted_at] DATETIME2 NULL,
    [warnings] NVARCHAR(MAX) NULL
)
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'source_uuid') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [source_uuid] UNIQUEIDENTIFIER NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'version') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'row_hash') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [row_hash] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'batch_id') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [batch_id] NVARCHAR(36) NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'promoted_at') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [promoted_at] DATETIME2 NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule', N'warnings') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule] ADD [warnings] NVARCHAR(MAX) NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_MON_Uuid' AND object_id = OBJECT_ID(N'dbo.MON_CustMasterSchedule'))
CREATE UNIQUE INDEX [UX_MON_Uuid] ON [dbo].[MON_CustMasterSchedule] ([source_uuid]) WHERE [source_uuid] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_MON_Item' AND object_id = OBJECT_ID(N'dbo.MON_CustMasterSchedule'))
CREATE INDEX [IX_MON_Item] ON [dbo].[MON_CustMasterSchedule] ([Item ID])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_MON_Warnings' AND object_id = OBJECT_ID(N'dbo.MON_CustMasterSchedule'))
CREATE INDEX [IX_MON_Warnings] ON [dbo].[MON_CustMasterSchedule] ([source_uuid]) WHERE [warnings] IS NOT NULL
GO

-- Production: the sizes that the board shows.
IF OBJECT_ID(N'dbo.MON_CustMasterSchedule_Subitems', N'U') IS NULL
CREATE TABLE [dbo].[MON_CustMasterSchedule_Subitems] (
    [parent_item_id] NVARCHAR(MAX) NULL,
    [subitem_id] NVARCHAR(MAX) NULL,
    [subitem_board_id] NVARCHAR(MAX) NULL,
    [Size] NVARCHAR(MAX) NULL,
    [Order Qty] NVARCHAR(MAX) NULL,
    [Cut Qty] NVARCHAR(MAX) NULL,
    [Sew Qty] NVARCHAR(MAX) NULL,
    [Finishing Qty] NVARCHAR(MAX) NULL,
    [Received not Shipped Qty] NVARCHAR(MAX) NULL,
    [Packed Qty] NVARCHAR(MAX) NULL,
    [Shipped Qty] NVARCHAR(MAX) NULL,
    [ORDER LINE STATUS] NVARCHAR(MAX) NULL,
    [Item ID] NVARCHAR(MAX) NULL,
    [validation_status] NVARCHAR(255) NULL,
    [update_operation] NVARCHAR(255) NULL,
    [validation_errors] NVARCHAR(MAX) NULL,
    [update_batch_id] NVARCHAR(50) NULL,
    [board_id] NVARCHAR(50) NULL,
    [source_query] NVARCHAR(MAX) NULL,
    [source_table] NVARCHAR(255) NULL,
    [update_fields] NVARCHAR(MAX) NULL,
    [ORDER_QTY] NVARCHAR(50) NULL,
    [AAG_ORDER_NUMBER] NVARCHAR(200) NULL,
    [UNIT_OF_MEASURE] NVARCHAR(MAX) NULL,
    [COLOR] NVARCHAR(200) NULL,
    [STYLE] NVARCHAR(200) NULL,
    [CUSTOMER] NVARCHAR(200) NULL,
    [PO_NUMBER] NVARCHAR(200) NULL,
    [CUSTOMER_ALT_PO] NVARCHAR(200) NULL,
    [record_uuid] UNIQUEIDENTIFIER NULL,
    [size_label] NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,
    [version] BIGINT NULL,
    [row_hash] NVARCHAR(64) NULL,
    [promoted_at] DATETIME2 NULL
)
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule_Subitems', N'record_uuid') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule_Subitems] ADD [record_uuid] UNIQUEIDENTIFIER NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule_Subitems', N'size_label') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule_Subitems] ADD [size_label] NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule_Subitems', N'version') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule_Subitems] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule_Subitems', N'row_hash') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule_Subitems] ADD [row_hash] NVARCHAR(64) NULL
GO

IF COL_LENGTH(N'dbo.MON_CustMasterSchedule_Subitems', N'promoted_at') IS NULL
ALTER TABLE [dbo].[MON_CustMasterSchedule_Subitems] ADD [promoted_at] DATETIME2 NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_MON_Subitems_Size' AND object_id = OBJECT_ID(N'dbo.MON_CustMasterSchedule_Subitems'))
CREATE UNIQUE INDEX [UX_MON_Subitems_Size] ON [dbo].[MON_CustMasterSchedule_Subitems] ([record_uuid], [size_label]) WHERE [record_uuid] IS NOT NULL AND [size_label] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_MON_Subitems_Uuid' AND object_id = OBJECT_ID(N'dbo.MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_MON_Subitems_Uuid] ON [dbo].[MON_CustMasterSchedule_Subitems] ([record_uuid])
GO

-- Orders that failed and what becomes of them.
IF OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule', N'U') IS NULL
CREATE TABLE [dbo].[ERR_MON_CustMasterSchedule] (
    [err_id] BIGINT NOT NULL,
    [original_stg_id] BIGINT NULL,
    [batch_id] UNIQUEIDENTIFIER NULL,
    [customer_batch] NVARCHAR(100) NULL,
    [order_number] NVARCHAR(200) NULL,
    [item_name] NVARCHAR(500) NULL,
    [group_name] NVARCHAR(255) NULL,
    [api_payload] NVARCHAR(MAX) NULL,
    [error_type] NVARCHAR(100) NULL,
    [error_message] NVARCHAR(MAX) NULL,
    [http_status_code] INT NULL,
    [retry_count] INT NULL DEFAULT 0,
    [max_retries_reached] BIT NULL DEFAULT 0,
    [created_date] DATETIME2 NULL DEFAULT getdate(),
    [last_retry_date] DATETIME2 NULL,
    [resolved_date] DATETIME2 NULL,
    [resolved_by] NVARCHAR(100) NULL,
    [original_data] NVARCHAR(MAX) NULL,
    [record_uuid] UNIQUEIDENTIFIER NULL,
    [version] BIGINT NULL,
    [customer] NVARCHAR(200) NULL,
    [error_code] NVARCHAR(100) NULL,
    [request_id] NVARCHAR(100) NULL,
    [retryable] BIT NOT NULL DEFAULT 0,
    [next_retry_at] DATETIME2 NULL,
    [resolution] NVARCHAR(50) NULL,
    [error_key] NVARCHAR(300) COLLATE Latin1_General_BIN2 NOT NULL,
    [resolution_reason] NVARCHAR(1000) NULL,
    CONSTRAINT [PK_ERR_MON_CustMasterSchedule] PRIMARY KEY ([err_id])
)
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'record_uuid') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [record_uuid] UNIQUEIDENTIFIER NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'version') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'customer') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [customer] NVARCHAR(200) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'error_code') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [error_code] NVARCHAR(100) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'request_id') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [request_id] NVARCHAR(100) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'retryable') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [retryable] BIT NOT NULL DEFAULT 0
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'next_retry_at') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [next_retry_at] DATETIME2 NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'resolution') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [resolution] NVARCHAR(50) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'error_key') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [error_key] NVARCHAR(300) COLLATE Latin1_General_BIN2 NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule', N'resolution_reason') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule] ADD [resolution_reason] NVARCHAR(1000) NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_ERR_Key' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE UNIQUE INDEX [UX_ERR_Key] ON [dbo].[ERR_MON_CustMasterSchedule] ([error_key]) WHERE [error_key] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Key' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE INDEX [IX_ERR_Key] ON [dbo].[ERR_MON_CustMasterSchedule] ([error_key])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Due' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE INDEX [IX_ERR_Due] ON [dbo].[ERR_MON_CustMasterSchedule] ([resolved_date], [next_retry_at])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Uuid' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE INDEX [IX_ERR_Uuid] ON [dbo].[ERR_MON_CustMasterSchedule] ([record_uuid])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Retried' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE INDEX [IX_ERR_Retried] ON [dbo].[ERR_MON_CustMasterSchedule] ([last_retry_date])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Code' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule'))
CREATE INDEX [IX_ERR_Code] ON [dbo].[ERR_MON_CustMasterSchedule] ([error_code], [resolution])
GO

-- Sizes that failed and what becomes of them.
IF OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'U') IS NULL
CREATE TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] (
    [err_id] BIGINT NOT NULL,
    [original_stg_id] BIGINT NULL,
    [parent_item_id] BIGINT NULL,
    [batch_id] UNIQUEIDENTIFIER NULL,
    [customer_batch] NVARCHAR(100) NULL,
    [order_number] NVARCHAR(200) NULL,
    [size_label] NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,
    [order_qty] BIGINT NULL,
    [subitem_name] NVARCHAR(200) NULL,
    [api_payload] NVARCHAR(MAX) NULL,
    [error_type] NVARCHAR(100) NULL,
    [error_message] NVARCHAR(MAX) NULL,
    [http_status_code] INT NULL,
    [retry_count] INT NULL DEFAULT 0,
    [max_retries_reached] BIT NULL DEFAULT 0,
    [created_date] DATETIME2 NULL DEFAULT getdate(),
    [last_retry_date] DATETIME2 NULL,
    [resolved_date] DATETIME2 NULL,
    [resolved_by] NVARCHAR(100) NULL,
    [original_data] NVARCHAR(MAX) NULL,
    [record_uuid] UNIQUEIDENTIFIER NULL,
    [version] BIGINT NULL,
    [customer] NVARCHAR(200) NULL,
    [error_code] NVARCHAR(100) NULL,
    [request_id] NVARCHAR(100) NULL,
    [retryable] BIT NOT NULL DEFAULT 0,
    [next_retry_at] DATETIME2 NULL,
    [resolution] NVARCHAR(50) NULL,
    [error_key] NVARCHAR(300) COLLATE Latin1_General_BIN2 NOT NULL,
    [resolution_reason] NVARCHAR(1000) NULL,
    CONSTRAINT [PK_ERR_MON_CustMasterSchedule_Subitems] PRIMARY KEY ([err_id])
)
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'record_uuid') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [record_uuid] UNIQUEIDENTIFIER NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'version') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'customer') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [customer] NVARCHAR(200) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'error_code') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [error_code] NVARCHAR(100) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'request_id') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [request_id] NVARCHAR(100) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'retryable') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [retryable] BIT NOT NULL DEFAULT 0
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'next_retry_at') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [next_retry_at] DATETIME2 NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'resolution') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [resolution] NVARCHAR(50) NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'error_key') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [error_key] NVARCHAR(300) COLLATE Latin1_General_BIN2 NULL
GO

IF COL_LENGTH(N'dbo.ERR_MON_CustMasterSchedule_Subitems', N'resolution_reason') IS NULL
ALTER TABLE [dbo].[ERR_MON_CustMasterSchedule_Subitems] ADD [resolution_reason] NVARCHAR(1000) NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'UX_ERR_Subitems_Key' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems'))
CREATE UNIQUE INDEX [UX_ERR_Subitems_Key] ON [dbo].[ERR_MON_CustMasterSchedule_Subitems] ([error_key]) WHERE [error_key] IS NOT NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Subitems_Key' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_ERR_Subitems_Key] ON [dbo].[ERR_MON_CustMasterSchedule_Subitems] ([error_key])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Subitems_Due' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_ERR_Subitems_Due] ON [dbo].[ERR_MON_CustMasterSchedule_Subitems] ([resolved_date], [next_retry_at])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Subitems_Uuid' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_ERR_Subitems_Uuid] ON [dbo].[ERR_MON_CustMasterSchedule_Subitems] ([record_uuid])
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_ERR_Subitems_Retried' AND object_id = OBJECT_ID(N'dbo.ERR_MON_CustMasterSchedule_Subitems'))
CREATE INDEX [IX_ERR_Subitems_Retried] ON [dbo].[ERR_MON_CustMasterSchedule_Subitems] ([last_retry_date])
GO

-- One batch per detection pass and customer.
IF OBJECT_ID(N'dbo.MON_BatchProcessing', N'U') IS NULL
CREATE TABLE [dbo].[MON_BatchProcessing] (
    [batch_id] UNIQUEIDENTIFIER NOT NULL DEFAULT newid(),
    [customer_name] NVARCHAR(200) NOT NULL,
    [batch_type] NVARCHAR(50) NOT NULL,
    [status] NVARCHAR(50) NULL DEFAULT 'STARTED',
    [total_records] INT NULL,
    [successful_records] INT NULL,
    [failed_records] INT NULL,
    [start_time] DATETIME2 NULL DEFAULT getdate(),
    [end_time] DATETIME2 NULL,
    [duration_seconds] INT NULL,
    [error_summary] NVARCHAR(MAX) NULL,
    [processing_notes] NVARCHAR(MAX) NULL,
    [orders_processed] INT NULL,
    [subitems_processed] INT NULL,
    [api_calls_made] INT NULL,
    [api_failures] INT NULL,
    [retries_attempted] INT NULL,
    [staging_load_completed] DATETIME2 NULL,
    [items_creation_completed] DATETIME2 NULL,
    [subitems_creation_completed] DATETIME2 NULL,
    [promotion_completed] DATETIME2 NULL,
    [cleanup_completed] DATETIME2 NULL,
    [started_by] NVARCHAR(100) NULL DEFAULT suser_sname(),
    [completed_by] NVARCHAR(100) NULL,
    [config_snapshot] NVARCHAR(MAX) NULL,
    [version] BIGINT NOT NULL,
    [superseded_records] INT NULL,
    [confirmed_at] DATETIME2 NULL,
    CONSTRAINT [PK_MON_BatchProcessing] PRIMARY KEY ([batch_id])
)
GO

IF COL_LENGTH(N'dbo.MON_BatchProcessing', N'version') IS NULL
ALTER TABLE [dbo].[MON_BatchProcessing] ADD [version] BIGINT NULL
GO

IF COL_LENGTH(N'dbo.MON_BatchProcessing', N'superseded_records') IS NULL
ALTER TABLE [dbo].[MON_BatchProcessing] ADD [superseded_records] INT NULL
GO

IF COL_LENGTH(N'dbo.MON_BatchProcessing', N'confirmed_at') IS NULL
ALTER TABLE [dbo].[MON_BatchProcessing] ADD [confirmed_at] DATETIME2 NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_Batch_Unconfirmed' AND object_id = OBJECT_ID(N'dbo.MON_BatchProcessing'))
CREATE INDEX [IX_Batch_Unconfirmed] ON [dbo].[MON_BatchProcessing] ([version]) WHERE [confirmed_at] IS NULL
GO

-- What the board holds as the API confirmed it. An empty size is the item itself.
IF OBJECT_ID(N'dbo.SYNC_Ledger', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Ledger] (
    [record_uuid] UNIQUEIDENTIFIER NOT NULL,
    [size_label] NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    [item_id] NVARCHAR(20) NOT NULL,
    [board_id] NVARCHAR(20) NOT NULL,
    [name] NVARCHAR(255) NOT NULL,
    [group_name] NVARCHAR(255) COLLATE Latin1_General_BIN2 NOT NULL,
    [columns_json] NVARCHAR(MAX) NOT NULL,
    [active] BIT NOT NULL,
    [version] BIGINT NOT NULL,
    [updated_at] DATETIME2 NOT NULL,
    CONSTRAINT [PK_SYNC_Ledger] PRIMARY KEY ([record_uuid], [size_label])
)
GO

-- The journal of writes to the board: intent before effect.
IF OBJECT_ID(N'dbo.SYNC_Requests', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Requests] (
    [request_key] NVARCHAR(64) NOT NULL,
    [lease_token] BIGINT NOT NULL,
    [body] NVARCHAR(MAX) NOT NULL,
    [mutations] NVARCHAR(MAX) NOT NULL,
    [created_at] DATETIME2 NOT NULL,
    [first_sent_at] DATETIME2 NULL,
    [finished_at] DATETIME2 NULL,
    [outcome] NVARCHAR(20) NULL,
    [request_id] NVARCHAR(100) NULL,
    [http_status] INT NULL,
    [attempts] INT NOT NULL DEFAULT 0,
    CONSTRAINT [PK_SYNC_Requests] PRIMARY KEY ([request_key])
)
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_Requests_Unfinished' AND object_id = OBJECT_ID(N'dbo.SYNC_Requests'))
CREATE INDEX [IX_Requests_Unfinished] ON [dbo].[SYNC_Requests] ([first_sent_at], [request_key]) WHERE [finished_at] IS NULL
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_Requests_Sent' AND object_id = OBJECT_ID(N'dbo.SYNC_Requests'))
CREATE INDEX [IX_Requests_Sent] ON [dbo].[SYNC_Requests] ([first_sent_at])
GO

-- Groups of the board that exist.
IF OBJECT_ID(N'dbo.SYNC_Groups', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Groups] (
    [board_id] NVARCHAR(20) NOT NULL,
    [group_name] NVARCHAR(255) COLLATE Latin1_General_BIN2 NOT NULL,
    [group_id] NVARCHAR(255) NOT NULL,
    CONSTRAINT [PK_SYNC_Groups] PRIMARY KEY ([board_id], [group_name])
)
GO

-- Who may write to the board. The token rises with every new holder.
IF OBJECT_ID(N'dbo.SYNC_Lease', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Lease] (
    [name] NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    [owner] NVARCHAR(100) NULL,
    [token] BIGINT NOT NULL DEFAULT 0,
    [expires_at] DATETIME2 NOT NULL,
    CONSTRAINT [PK_SYNC_Lease] PRIMARY KEY ([name])
)
GO

-- Small facts by name such as the hash scheme and the last pass.
IF OBJECT_ID(N'dbo.SYNC_State', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_State] (
    [name] NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    [value] NVARCHAR(MAX) NULL,
    [updated_at] DATETIME2 NOT NULL,
    CONSTRAINT [PK_SYNC_State] PRIMARY KEY ([name])
)
GO

-- Plans of guard stops and what became of them.
IF OBJECT_ID(N'dbo.SYNC_Plans', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Plans] (
    [plan_id] NVARCHAR(20) COLLATE Latin1_General_BIN2 NOT NULL,
    [made_at] DATETIME2 NOT NULL,
    [state] NVARCHAR(20) NOT NULL,
    [plan_json] NVARCHAR(MAX) NOT NULL,
    [accepted_at] DATETIME2 NULL,
    CONSTRAINT [PK_SYNC_Plans] PRIMARY KEY ([plan_id])
)
GO

-- The changes of plans that are held or accepted.
IF OBJECT_ID(N'dbo.SYNC_PlanRows', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_PlanRows] (
    [plan_id] NVARCHAR(20) COLLATE Latin1_General_BIN2 NOT NULL,
    [record_uuid] UNIQUEIDENTIFIER NOT NULL,
    [change] NVARCHAR(20) NOT NULL,
    [row_hash] NVARCHAR(64) NOT NULL,
    CONSTRAINT [PK_SYNC_PlanRows] PRIMARY KEY ([plan_id], [record_uuid])
)
GO

-- What people told ordersync to do: who when why and with what effect.
IF OBJECT_ID(N'dbo.SYNC_Actions', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_Actions] (
    [action_id] BIGINT NOT NULL,
    [at] DATETIME2 NOT NULL,
    [who] NVARCHAR(200) NOT NULL,
    [action] NVARCHAR(100) NOT NULL,
    [subject] NVARCHAR(400) NULL,
    [reason] NVARCHAR(1000) NULL,
    [effect] NVARCHAR(1000) NULL,
    CONSTRAINT [PK_SYNC_Actions] PRIMARY KEY ([action_id])
)
GO

-- Which form of this schema was applied and when.
IF OBJECT_ID(N'dbo.SYNC_SchemaVersion', N'U') IS NULL
CREATE TABLE [dbo].[SYNC_SchemaVersion] (
    [version] INT NOT NULL,
    [applied_at] DATETIME2 NOT NULL,
    [checksum] NVARCHAR(64) NOT NULL,
    CONSTRAINT [PK_SYNC_SchemaVersion] PRIMARY KEY ([version])
)
GO

DROP VIEW IF EXISTS [dbo].[VW_MON_ActiveBatches]
GO

-- Open batches.
CREATE VIEW [dbo].[VW_MON_ActiveBatches] AS
SELECT [batch_id], [customer_name], [batch_type], [status], [total_records], [successful_records], [failed_records], [start_time], [end_time], [duration_seconds], [error_summary], [processing_notes], [orders_processed], [subitems_processed], [api_calls_made], [api_failures], [retries_attempted], [staging_load_completed], [items_creation_completed], [subitems_creation_completed], [promotion_completed], [cleanup_completed], [started_by], [completed_by], [config_snapshot], [version], [superseded_records], [confirmed_at],
    COALESCE([total_records], 0) - COALESCE([successful_records], 0) - COALESCE([failed_records], 0) - COALESCE([superseded_records], 0) AS [open_records]
FROM [dbo].[MON_BatchProcessing]
WHERE COALESCE([status], '') NOT IN ('PROMOTED', 'FAILED')
GO

IF EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'ordersync') GRANT SELECT ON [dbo].[VW_MON_ActiveBatches] TO [ordersync]
GO

-- Write transactions stand in line for the lock of this row.
IF NOT EXISTS (SELECT 1 FROM [dbo].[SYNC_Lease] WHERE [name] = N'database.write')
INSERT INTO [dbo].[SYNC_Lease] ([name], [token], [expires_at]) VALUES (N'database.write', 0, SYSUTCDATETIME())
GO

-- Which form of the schema this is.
IF NOT EXISTS (SELECT 1 FROM [dbo].[SYNC_SchemaVersion] WHERE [checksum] = N'1fc45f44f259208e26844b3f12ce19fa7e54de97d89a41b4cd6c92c6959f5c60' AND [version] = (SELECT MAX([version]) FROM [dbo].[SYNC_SchemaVersion]))
INSERT INTO [dbo].[SYNC_SchemaVersion] ([version], [applied_at], [checksum])
SELECT COALESCE(MAX([version]), 0) + 1, SYSUTCDATETIME(), N'1fc45f44f259208e26844b3f12ce19fa7e54de97d89a41b4cd6c92c6959f5c60' FROM [dbo].[SYNC_SchemaVersion]
GO
