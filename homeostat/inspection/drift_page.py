"""The drift page of a look or of any other window of time."""

from collections import Counter
from typing import Final

from homeostat.bootstrap import Ports
from homeostat.contract.model import Contract
from homeostat.drift.profile import stored_profile
from homeostat.drift.quarantine import broken_spans
from homeostat.drift.report import report_of
from homeostat.drift.watch import Watch
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.inspection.blindness import blind_lines
from homeostat.inspection.drift import label_lines, limits_line, told_limits, told_report
from homeostat.inspection.evidently_page import evidently_page
from homeostat.inspection.window_rows import served_rows, training_rows
from homeostat.ports import EventLog
from homeostat.records import Arm, DriftReport, Prediction, Span, derived_id
from homeostat.tail import Tail

FILE: Final = "drift_page.html"
"""The page's name among the artifacts of the run that a drift led to."""


def page_of_look(contract: Contract, ports: Ports, report: DriftReport) -> str:
    """Return the page of a look: its own verdict, and the rows that the log still keeps of it.

    Raises:
        HomeostatError: The look had no champion, or what it saw is not kept any more.
    """
    if report.version is None:
        raise HomeostatError(f"the look of {report.at:%Y-%m-%d %H:%M} had no champion to hold a window against")
    return _page(contract, ports, report.version, Span(report.window_start, report.window_end), report)


def page_of_span(contract: Contract, ports: Ports, span: Span) -> str:
    """Return the page of any window, judged by the contract on the profile of the champion that served most of it.

    Raises:
        HomeostatError: No model served then, or what it served is not kept any more.
    """
    return _page(contract, ports, _server_of(contract, ports.log, span), span)


def _page(contract: Contract, ports: Ports, version: str, span: Span, report: DriftReport | None = None) -> str:
    package = ports.registry.load(version)
    watch = Watch(version, stored_profile(package.files, contract.feature_names), contract)
    current = served_rows(contract, ports.log, watch, span)
    reference = training_rows(contract, package, version, ports.offline)
    verdict = told_report(report or look_back(contract, watch, span))
    limits = told_limits(contract)
    lines = [*label_lines(verdict), *blind_lines(verdict, limits), limits_line(limits)]
    if verdict["incidents"]:
        lines.append("rows of data incidents don't count in the verdict; what Evidently shows below has them")
    return evidently_page(verdict, lines, reference, current, contract.categorical)


def look_back(contract: Contract, watch: Watch, span: Span) -> DriftReport:
    """Return what a look at a window would have said without its labels, its broken stretches left out.

    Args:
        contract: The product's.
        watch: Of the champion, with the window's rows counted.
        span: The window; it may be longer than those of the loop's looks.
    """
    report_id = derived_id(contract.product, watch.version, span.since.isoformat(), span.until.isoformat())
    incidents = watch.incidents(span.until, span.until - span.since)
    judgement = watch.judgement(broken_spans(incidents))
    return report_of(judgement, report_id, at=span.until, span=span, version=watch.version, incidents=incidents)


def _server_of(contract: Contract, log: EventLog, span: Span) -> str:
    start = log.offset_at(topic_name(contract.product, "predictions"), span.since)
    served: Counter[str] = Counter()
    for _, row in Tail(log, contract.product).after("predictions", start):
        if isinstance(row, Prediction) and row.arm is Arm.CHAMPION and span.since <= row.event_time <= span.until:
            served[str(row.version)] += 1
    if not served:
        raise HomeostatError(
            f"the log keeps no row that a champion served from {span.since:%Y-%m-%d %H:%M} to "
            f"{span.until:%Y-%m-%d %H:%M} UTC: name another span"
        )
    return served.most_common(1)[0][0]
