"""The MLflow UI on the instance's models: the server of `mlflow server`, in one process instead of three.

``python -m homeostat.processes.mlflow_ui HOME``; the addresses of its stores are in its environment.
"""

import logging
import os
import sys
from pathlib import Path

from homeostat.processes.instance import Instance
from homeostat.processes.life import life
from homeostat.processes.stores import alone_at_stores

HOST = "127.0.0.1"  # it has no users and no passwords
_DRAIN_S = 2
_NICE = 5  # whoever looks at it can wait for whoever asks for a score

_log = logging.getLogger("homeostat.mlflow_ui")


def main(home: Path) -> None:
    """Serve the UI until it shall end."""
    os.nice(_NICE)
    with life(home):
        instance = Instance.load(home)
        import uvicorn  # noqa: PLC0415 - it and MLflow take seconds
        from mlflow.server.fastapi_app import app  # noqa: PLC0415
        from mlflow.server.handlers import initialize_backend_stores  # noqa: PLC0415

        with alone_at_stores(home):
            initialize_backend_stores()
        config = uvicorn.Config(
            app,
            host=HOST,
            port=instance.mlflow_port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        _log.info("serving on %s", instance.mlflow_url)
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
