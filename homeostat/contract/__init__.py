"""The product contract: one YAML for a model."""
