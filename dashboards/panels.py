"""How our dashboards and panels look: the data source, the variable, and kinds of panels."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

from homeostat.metric_names import CPU_PRICE

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HALF, THIRD, WHOLE = 12, 8, 24
_HEIGHT = 8


def of_product(metric: str, **labels: str) -> str:
    """Return the selector of a metric's series of the chosen product; label values are regular expressions."""
    matchers = ['product=~"$product"', *(f'{name}=~"{value}"' for name, value in labels.items())]
    return f"{metric}{{{', '.join(matchers)}}}"


def new_board(title: str, uid: str, about: str, *, since: str = "now-24h") -> Dashboard:
    """Return an empty dashboard with the variables and links that all of ours have."""
    return (
        Dashboard(f"Homeostat: {title}")
        .uid(f"homeostat-{uid}")
        .description(about)
        .tags(["homeostat"])
        .time(since, "now")
        .refresh("30s")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            DashboardLink("Homeostat")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["homeostat"])
            .include_vars(True)  # noqa: FBT003 - the builder's own way
            .keep_time(True)  # noqa: FBT003
        )
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            QueryVariable("product")
            .label("Product")
            .datasource(SOURCE)
            .query(f"label_values({CPU_PRICE}, product)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
    )


def curves(
    title: str, about: str, queries: Mapping[str, str], *, unit: str = "short", span: int = HALF
) -> timeseries.Panel:
    """Return a panel of curves over time.

    Args:
        title: Of the panel.
        about: What it shows, in a sentence.
        queries: PromQL by legend.
        unit: As Grafana names it.
        span: Columns of 24.
    """
    legend = (
        VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(_HEIGHT)
        .span(span)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(legend)
    )
    for name, query in queries.items():
        panel.with_target(Dataquery().expr(query).legend_format(name).range().datasource(SOURCE))
    return panel


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the panel with its curves on top of one another: they are parts of a whole."""
    return panel.stacking(StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40)


def number(
    title: str, about: str, query: str, *, unit: str = "short", limits: Mapping[float | None, str] | None = None
) -> stat.Panel:
    """Return a panel of the newest value.

    Args:
        title: Of the panel.
        about: What it shows, in a sentence.
        query: PromQL.
        unit: As Grafana names it.
        limits: Colours by the value they begin at, None first.
    """
    steps = [Threshold(value=value, color=colour) for value, colour in (limits or {None: "blue"}).items()]
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(_HEIGHT // 2)
        .span(THIRD)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(Dataquery().expr(query).legend_format("{{product}}").instant().datasource(SOURCE))
    )


def states(title: str, about: str, query: str, legend: str) -> statetimeline.Panel:
    """Return a panel that shows when a thing was in which state."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .height(_HEIGHT)
        .span(WHOLE)
        .show_value(VisibilityMode.NEVER)
        .with_target(Dataquery().expr(query).legend_format(legend).range().datasource(SOURCE))
    )
