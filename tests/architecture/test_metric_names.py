import re

from homeostat.metric_names import METRICS


def test_names_say_noun_and_unit() -> None:
    units = r"(total|seconds|ratio|usd|bytes|rows)"
    assert not [m.name for m in METRICS if not re.fullmatch(rf"homeostat_[a-z0-9_]+_{units}", m.name)]


def test_no_name_is_used_twice() -> None:
    assert len({m.name for m in METRICS}) == len(METRICS)
