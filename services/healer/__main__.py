"""The healer: opens and closes cases; the only one to decide, to promote and to alert. Run one.

``python -m services.healer``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.service import run, run_rounds

if __name__ == "__main__":
    sys.exit(run("healer", run_rounds))
