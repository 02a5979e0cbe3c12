"""What a feature of a contract may be, where a caller gives it."""

from homeostat.contract.model import AggregateFeature, Contract, Feature, FieldFeature, FieldSpec

_ANY_NUMBER = FieldSpec(type="number", nullable=True)
"""A feature that is computed: it may be missing, and knows no limits."""


def feature_specs(contract: Contract) -> dict[str, FieldSpec]:
    """Return what each feature holds; like in an event, null stands for a missing value where there may be one."""
    return {name: _spec(contract, feature) for name, feature in contract.features.items()}


def _spec(contract: Contract, feature: Feature) -> FieldSpec:
    if isinstance(feature, FieldFeature):
        return contract.event.fields[feature.field]
    if isinstance(feature, AggregateFeature) and feature.aggregate == "last" and feature.of is not None:
        spec = contract.event.fields.get(feature.of) or contract.label.facts.get(feature.of)
        return spec.model_copy(update={"nullable": True}) if spec else _ANY_NUMBER
    return _ANY_NUMBER
