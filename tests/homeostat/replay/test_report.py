import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from homeostat.replay.report import render, write_report
from homeostat.replay.report_data import DriftMap, Receipt, ReportData

VOID = {"meta", "br", "link", "img"}


class Reader(HTMLParser):
    """Collects text and checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


def test_report_json_is_the_summary_and_the_same_data_gives_the_same_page(
    report_data: ReportData, page: str, tmp_path: Path
) -> None:
    write_report(report_data, tmp_path / "demo")
    assert json.loads((tmp_path / "demo" / "report.json").read_text()) == report_data.summary
    assert (tmp_path / "demo" / "report.html").read_text() == page


def test_the_page_is_well_formed_and_has_its_pictures(page: str) -> None:
    assert read(page).tags.count("svg") == 6  # log loss, AUC, two gaps, drift, timeline


def test_the_page_loads_nothing_from_outside_and_runs_no_script(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_shows_the_headline_figures(page: str) -> None:
    text = " ".join(read(page).text)
    for figure in ("0.4701", "\N{MINUS SIGN}6.00%", "\N{MINUS SIGN}0.21%", "2 rejected, 1 rolled back", "0.00042"):
        assert figure in text


def test_a_difference_is_coloured_only_where_chance_does_not_explain_it(page: str) -> None:
    assert page.count('class="tile good"') == 1  # against frozen; against monthly the interval holds zero


def test_text_from_the_data_is_escaped(report_data: ReportData) -> None:
    evil = "<script>alert(1)</script>"
    receipt = Receipt(report_data.timeline[0].at, evil, evil, evil, {evil: {evil: [evil]}})
    data = replace(report_data, title=evil, receipts=[receipt], mlflow_command=evil)
    html = render(replace(data, drift=replace(data.drift, features=(evil, "$title ${seed}"))))
    assert "<script" not in html
    assert "$title ${seed}" in html  # and a template's sign is left alone


def test_each_decision_has_its_receipt_with_the_evidence(report_data: ReportData, page: str) -> None:
    text = " ".join(read(page).text)
    assert "better on 500 rows" in text
    assert "0.01235" in text
    assert page.count("<details>") == len(report_data.receipts) + 3  # the moments, the stages, the figures


def test_pictures_take_their_colours_from_the_page(page: str) -> None:
    assert "var(--healed)" in page
    assert "#0102" not in page  # no stand-in is left


def test_no_id_of_one_picture_is_used_by_another(page: str) -> None:
    for picture in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ids = re.findall(r' id="([^"]+)"', picture)
        assert len(ids) == len(set(ids))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_replay_that_decided_nothing_still_has_a_report(report_data: ReportData) -> None:
    nothing = DriftMap((), (), [], [], ())
    data = replace(report_data, summary={}, weeks=[], drift=nothing, timeline=[], receipts=[])
    assert "Nothing to show yet" in render(data)


def test_one_week_and_one_look_are_enough_for_the_pictures(report_data: ReportData) -> None:
    drift = report_data.drift
    one = DriftMap(drift.features, drift.times[:1], [row[:1] for row in drift.ratios], [[False], [False]], ("unknown",))
    assert read(render(replace(report_data, weeks=report_data.weeks[:1], drift=one))).tags.count("svg") == 6
