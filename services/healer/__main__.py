"""The healer: opens and closes cases; the only one to decide, to promote and to alert. Of several one leads.

``python -m services.healer``, told by ``HOMEOSTAT_...`` variables what to work on.
"""

import sys

from homeostat.processes.leading import lead_rounds
from homeostat.processes.service import run

if __name__ == "__main__":
    sys.exit(run("healer", lead_rounds))
