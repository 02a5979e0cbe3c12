"""The ingestor: holds raw events and labels against the contract; features go to the online store.

``python -m services.ingestor``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.service import run, run_rounds

if __name__ == "__main__":
    sys.exit(run("ingestor", run_rounds))
