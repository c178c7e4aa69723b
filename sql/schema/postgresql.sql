-- Written by `python -m sql.script` from sql/tables/*.csv, for postgresql. Do not edit.

-- Which form of this schema was applied and when.
CREATE TABLE IF NOT EXISTS "SYNC_SchemaVersion" (
    "version" INTEGER NOT NULL,
    "applied_at" TIMESTAMP NOT NULL,
    "checksum" VARCHAR(64) NOT NULL,
    CONSTRAINT "PK_SYNC_SchemaVersion" PRIMARY KEY ("version")
);

-- Snapshots of a customer as Parquet: what roll back goes back to.
CREATE TABLE IF NOT EXISTS "snapshot_archive" (
    "id" BIGSERIAL NOT NULL,
    "snapshot_date" TIMESTAMP NOT NULL,
    "customer_filter" VARCHAR(255) NOT NULL DEFAULT 'ALL',
    "batch_id" UUID NULL,
    "record_count" INTEGER NULL,
    "source_database" VARCHAR(100) NOT NULL DEFAULT 'ORDERS',
    "source_table" VARCHAR(255) NOT NULL DEFAULT 'ORDERS_UNIFIED',
    "parquet_data" BYTEA NOT NULL,
    "file_size_bytes" BIGINT NULL,
    "compression_ratio" DECIMAL(5,2) NULL,
    "original_columns" INTEGER NULL,
    "schema_version" VARCHAR(50) NOT NULL,
    "schema_hash" VARCHAR(64) NULL,
    "file_checksum" VARCHAR(64) NULL,
    "created_at" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" VARCHAR(100) NULL DEFAULT 'data-orchestration',
    "retention_until" DATE NULL,
    "tags" JSONB NULL,
    "version" BIGINT NOT NULL,
    CONSTRAINT "PK_snapshot_archive" PRIMARY KEY ("id")
);

CREATE INDEX IF NOT EXISTS "IX_Archive_Customer" ON "snapshot_archive" ("customer_filter", "snapshot_date");

CREATE UNIQUE INDEX IF NOT EXISTS "UX_Archive_Pass" ON "snapshot_archive" ("customer_filter", "version") WHERE "version" IS NOT NULL;
