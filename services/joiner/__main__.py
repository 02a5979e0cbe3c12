"""The joiner: matches labels with predictions, and keeps rows and outcomes to train on.

``python -m services.joiner``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.service import run, run_rounds

if __name__ == "__main__":
    sys.exit(run("joiner", run_rounds))
