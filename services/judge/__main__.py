"""The judge: holds the challenger against the champion on the rows that both have scored.

``python -m services.judge``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.service import run, run_rounds

if __name__ == "__main__":
    sys.exit(run("judge", run_rounds))
