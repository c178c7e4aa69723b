#!/bin/bash
# Does the work of a DBA for ordersync: creates the database and two logins if they are missing. `ordersync_owner` owns
# the database, for `ordersync setup` alone; `ordersync_service` is a member of the role to which setup grants rights.
# An existing login keeps its password.
set -euo pipefail
umask 077

# With quotes doubled, as in T-SQL literals.
owner_password=$(sed "s/'/''/g" /run/secrets/mssql_owner_password)
service_password=$(sed "s/'/''/g" /run/secrets/mssql_service_password)

script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<SCRIPT
IF DB_ID(N'ordersync') IS NULL
    CREATE DATABASE [ordersync];
GO
-- So that a pass of detection reads one state and locks nothing.
ALTER DATABASE [ordersync] SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
IF SUSER_ID(N'ordersync_owner') IS NULL
    CREATE LOGIN [ordersync_owner] WITH PASSWORD = N'$owner_password';
IF SUSER_ID(N'ordersync_service') IS NULL
    CREATE LOGIN [ordersync_service] WITH PASSWORD = N'$service_password';
GO
USE [ordersync];
GO
IF DATABASE_PRINCIPAL_ID(N'ordersync_owner') IS NULL
    CREATE USER [ordersync_owner] FOR LOGIN [ordersync_owner] WITH DEFAULT_SCHEMA = [dbo];
IF DATABASE_PRINCIPAL_ID(N'ordersync_service') IS NULL
    CREATE USER [ordersync_service] FOR LOGIN [ordersync_service] WITH DEFAULT_SCHEMA = [dbo];
IF DATABASE_PRINCIPAL_ID(N'ordersync') IS NULL
    CREATE ROLE [ordersync];
GO
ALTER ROLE [db_owner] ADD MEMBER [ordersync_owner];
ALTER ROLE [ordersync] ADD MEMBER [ordersync_service];
GO
SCRIPT

# -b: an error ends sqlcmd; -x: a dollar sign in a password is no variable.
SQLCMDPASSWORD=$(cat /run/secrets/mssql_sa_password) \
    /opt/mssql-tools18/bin/sqlcmd -b -x -S "$1" -U sa -i "$script"
echo "the database and its logins exist"
