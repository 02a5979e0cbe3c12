"""The detector: compares each window with the champion's training data.

``python -m services.detector``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.service import run, run_rounds

if __name__ == "__main__":
    sys.exit(run("detector", run_rounds))
