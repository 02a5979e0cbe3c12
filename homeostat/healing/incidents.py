"""Data incidents as the healer sees them: told in words, and their spans remembered for as long as there are rows."""

from datetime import datetime

from homeostat.ports import Ledger
from homeostat.records import DataIncident, DriftReport, Span, derived_id

_KIND = "data_incident"


def told_incident(incident: DataIncident) -> str:
    """Return an incident in words: the fault, its columns, what shows it, and since when."""
    name = incident.kind.replace("_", " ")
    return f"{name} in {', '.join(incident.columns)} since {incident.since:%Y-%m-%d %H:%M}: {incident.what}"


def incident_id(product: str, incident: DataIncident, *more: str) -> str:
    """Return an id that an incident has however often it is reported."""
    return derived_id(product, _KIND, incident.kind, *incident.columns, incident.since.isoformat(), *more)


class BrokenSpans:
    """The event times that nothing may be learnt from, kept in the ledger once their incident has ended."""

    def __init__(self, product: str, ledger: Ledger) -> None:
        """Take where they are kept."""
        self._product = product
        self._ledger = ledger
        self._noted: set[str] = set()
        self._active: tuple[DataIncident, ...] = ()

    def note(self, report: DriftReport) -> None:
        """Write down the incidents that are over, or not seen any more because another champion serves."""
        seen = {(incident.kind, incident.columns) for incident in report.incidents}
        gone = (incident for incident in self._active if (incident.kind, incident.columns) not in seen)
        self._active = tuple(incident for incident in report.incidents if incident.active)
        for incident in (*gone, *report.incidents):
            entry_id = incident_id(self._product, incident, incident.until.isoformat())
            if incident in self._active or entry_id in self._noted:
                continue
            payload = {
                "fault": incident.kind,
                "columns": list(incident.columns),
                "reason": told_incident(incident),
                "since": incident.since.isoformat(),
                "until": incident.until.isoformat(),
            }
            self._ledger.append(entry_id, report.at, _KIND, payload)
            self._noted.add(entry_id)

    def known_at(self, at: datetime, report: DriftReport | None) -> tuple[Span, ...]:
        """Return the spans that were known at a time, the oldest first, and those of a report.

        Args:
            at: Entries that were written later don't count, so that a request made again comes out the same.
            report: The evidence of the case; its incidents may not be over.
        """
        written = [entry.payload for entry in self._ledger.entries() if entry.kind == _KIND and entry.at <= at]
        spans = {Span(*(datetime.fromisoformat(str(each[end])) for end in ("since", "until"))) for each in written}
        spans |= {Span(incident.since, incident.until) for incident in (report.incidents if report else ())}
        return tuple(sorted(spans, key=lambda span: (span.since, span.until)))
