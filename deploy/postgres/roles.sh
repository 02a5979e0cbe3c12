#!/bin/sh
# Makes each role and the databases that it owns, when PostgreSQL's data folder is new.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --set homeostat_password="$HOMEOSTAT_DB_PASSWORD" --set mlflow_password="$MLFLOW_DB_PASSWORD" <<'SQL'
CREATE ROLE homeostat LOGIN PASSWORD :'homeostat_password';
CREATE DATABASE homeostat OWNER homeostat;
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
REVOKE CONNECT ON DATABASE homeostat, mlflow, mlflow_auth FROM PUBLIC;
SQL
