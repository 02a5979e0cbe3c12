import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
Program = Callable[[str, str], str]
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*_test.yml"))


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules(program: Program) -> None:
    run(program("promtool", "prometheus"), "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_prometheus_on_kubernetes_takes_all_but_where_its_pods_are_from(program: Program, tmp_path: Path) -> None:
    """Debian's promtool knows no Kubernetes: in place of the pods it is told of an address."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "kubernetes.yml").read_text())
    config["rule_files"] = [str(DEPLOY / "prometheus" / path) for path in config["rule_files"]]
    for job in config["scrape_configs"]:
        assert [found["role"] for found in job.pop("kubernetes_sd_configs")] == ["pod"]
        job["static_configs"] = [{"targets": ["127.0.0.1:8080"]}]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    run(program("promtool", "prometheus"), "check", "config", path)


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
def test_the_rules_ring_when_they_should_and_not_before(program: Program, path: Path) -> None:
    run(program("promtool", "prometheus"), "test", "rules", path)


def asked_by_the_autoscaler(metric: str, by: str, matchers: str) -> str:
    """The query of a metric, filled in as prometheus-adapter does for an object of a kind."""
    rules = yaml.safe_load((DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    (rule,) = [rule for rule in rules if rule["name"]["as"] == metric]
    assert by in rule["resources"]["overrides"]
    series = rule["seriesQuery"].partition("{")[0]
    filled = {"<<.Series>>": series, "<<.LabelMatchers>>": matchers, "<<.GroupBy>>": by}
    query: str = rule["metricsQuery"]
    for place, value in filled.items():
        query = query.replace(place, value)
    return query


def test_the_autoscaler_is_told_requests_by_pod_and_p99_by_service(program: Program, tmp_path: Path) -> None:
    labels = 'product="calls", route="{route}", namespace="ns", pod="{pod}", service="predictor"'
    series = []
    for pod, rate in (("one", 500), ("two", 20)):
        for route, times in (("predict", 1), ("events", 7)):
            at = labels.format(route=route, pod=pod)
            steps = f"0+{15 * rate * times}x40"
            series.append({"series": f'homeostat_requests_total{{{at}, status="200"}}', "values": steps})
            for bound, share in (("0.05", 0.5), ("0.1", 0.98), ("0.2", 1.0), ("+Inf", 1.0)):
                within = {"series": f'homeostat_request_latency_seconds_bucket{{{at}, le="{bound}"}}'}
                series.append({**within, "values": f"0+{15 * rate * times * share:g}x40"})
    per_pod = asked_by_the_autoscaler("homeostat_requests_per_second", "pod", 'namespace="ns",pod=~"one|two"')
    p99 = asked_by_the_autoscaler("homeostat_request_p99_seconds", "service", 'namespace="ns",service="predictor"')
    wanted = [
        {
            "expr": per_pod,
            "eval_time": "5m",
            "exp_samples": [{"labels": f'{{pod="{pod}"}}', "value": rate} for pod, rate in (("one", 500), ("two", 20))],
        },
        {
            "expr": f"round({p99}, 0.001)",
            "eval_time": "5m",
            "exp_samples": [{"labels": '{service="predictor"}', "value": 0.15}],
        },
    ]
    test = {"interval": "15s", "input_series": series, "promql_expr_test": wanted}
    path = tmp_path / "autoscaler_test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    run(program("promtool", "prometheus"), "test", "rules", path)


def test_alertmanager_takes_its_configuration(program: Program) -> None:
    run(program("amtool", "prometheus-alertmanager"), "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")
