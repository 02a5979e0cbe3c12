"""Online and offline features by Feast; importing this package imports Feast, which takes seconds."""

import prometheus_client  # noqa: F401 - before Feast: that would turn it to files of Feast's own, for good

from homeostat.adapters.feast_features.offline import FeastOfflineFeatures
from homeostat.adapters.feast_features.online import FeastOnlineFeatures

__all__ = ["FeastOfflineFeatures", "FeastOnlineFeatures"]
