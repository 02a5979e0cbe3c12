"""One folder a process of `homeostat/flow.py`; today the whole loop runs in one, see `homeostat.replay`."""
