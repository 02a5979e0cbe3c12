"""One folder a process of `homeostat/flow.py`, as a deployment on servers runs them."""
