"""Online and offline features by Feast; importing this package imports Feast, which takes seconds."""

from homeostat.adapters.feast_features import unchecked  # noqa: F401 - before whatever else imports Feast
from homeostat.adapters.feast_features.offline import FeastOfflineFeatures
from homeostat.adapters.feast_features.online import FeastOnlineFeatures

__all__ = ["FeastOfflineFeatures", "FeastOnlineFeatures"]
