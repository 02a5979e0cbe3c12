"""The Feast repo: what is stored, built from the contract and nothing else."""
