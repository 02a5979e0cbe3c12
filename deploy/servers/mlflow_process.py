"""What `mlflow server --app-name basic-auth --workers 1` runs, in one process instead of two: half the time to start.

Run by its path; its port is its argument, the addresses of its stores and its users are in its environment.
"""

import sys

import uvicorn
from mlflow.server.auth import bootstrap_admin_user, create_app
from mlflow.server.handlers import initialize_backend_stores

if __name__ == "__main__":
    initialize_backend_stores()
    bootstrap_admin_user()
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=2)
