"""The story of a healing case as annotations: each mark is an event, read from a counter."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery

from dashboards.panels import SOURCE, of_product

STEP_S = 60
"""How exact a mark is."""


class Mark(Builder[AnnotationQuery]):
    """An annotation that a counter makes; the SDK's own builder has no title and no step."""

    def __init__(self, name: str, colour: str, metric: str, by: str, **labels: str) -> None:
        """Take how it looks, the counter, and the label that tells one event from another."""
        self._made = _Titled(name=name, datasource=SOURCE, icon_color=colour, expr=sprung(metric, by, **labels))
        self._made.title = f"{name}: {{{{{by}}}}}"

    def build(self) -> AnnotationQuery:
        """Return the annotation."""
        return self._made


class _Titled(AnnotationQuery):
    title = ""

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"titleFormat": self.title, "textFormat": "{{product}}", "step": f"{STEP_S}s"}


def sprung(metric: str, by: str, **labels: str) -> str:
    """Return PromQL that has a value where a counter has just gone up.

    A counter that is there for the first time has gone up too, which ``increase`` does not see.
    """
    now = f"sum by (product, {by}) ({of_product(metric, **labels)})"
    before = f"sum by (product, {by}) ({of_product(metric, **labels)} offset {STEP_S}s)"
    return f"({now} - {before}) > 0 or ({now} unless {before}) > 0"
