"""Online and offline features by Feast; importing this package imports Feast, which takes seconds."""

from homeostat.adapters.feast_features.offline import FeastOfflineFeatures
from homeostat.adapters.feast_features.online import FeastOnlineFeatures

__all__ = ["FeastOfflineFeatures", "FeastOnlineFeatures"]
