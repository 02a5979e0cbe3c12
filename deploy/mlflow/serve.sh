#!/bin/sh
# Runs MLflow's server with basic authentication on PostgreSQL. Its users are set by a file, which is written to /tmp
# (or TMPDIR): there is nowhere else to put a password that comes from the environment.
set -eu
umask 077
export MLFLOW_AUTH_CONFIG_PATH="${TMPDIR:-/tmp}/basic_auth.ini"
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = postgresql+psycopg://mlflow:${MLFLOW_DB_PASSWORD}@${POSTGRES_HOST}/mlflow_auth
admin_username = homeostat
admin_password = ${MLFLOW_PASSWORD}
authorization_function = who:authenticate
INI
PYTHONPATH="$(dirname "$0")"  # of who.py
export PYTHONPATH HOMEOSTAT_SPEAKS_FOR_OTHERS=homeostat
# Not on the command line, where every process could read it.
export MLFLOW_BACKEND_STORE_URI="postgresql+psycopg://mlflow:${MLFLOW_DB_PASSWORD}@${POSTGRES_HOST}/mlflow"
# A Fernet key is 32 bytes in URL-safe base64: made of any long secret here, so that there is one way to draw secrets.
MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY="$(python -c '
from base64 import urlsafe_b64encode
from hashlib import sha256
from os import environ
print(urlsafe_b64encode(sha256(environ["MLFLOW_WEBHOOK_KEY"].encode()).digest()).decode())
')"
export MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY
exec mlflow server \
  --app-name basic-auth \
  --host "${MLFLOW_HOST:-0.0.0.0}" \
  --port "${MLFLOW_PORT:-5000}" \
  --workers 2 \
  --allowed-hosts "${MLFLOW_ALLOWED_HOSTS}" \
  --serve-artifacts \
  --artifacts-destination "${MLFLOW_ARTIFACTS:-/var/lib/mlflow/artifacts}"
