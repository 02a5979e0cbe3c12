"""What evicts, scales and lets in pods, held against what each rests on: labels, replicas, metrics, the contract."""

from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.contract.load import load_contract
from homeostat.contract.policies import SlaPolicy
from homeostat.metric_names import REQUEST_LATENCY, REQUESTS
from tests.architecture.rendered import Document, pods, render

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
EXAMPLE = DEPLOY / "kubernetes" / "overlays" / "example"
PROMISED_S = {
    BASE: SlaPolicy().latency_ms / 1000,
    EXAMPLE: load_contract(EXAMPLE / "contract.yaml").sla.latency_ms / 1000,
}
EVERYBODY = {"app.kubernetes.io/name": "homeostat"}  # whom the policy that lets nobody in selects

rendered = pytest.mark.parametrize("found", [render(folder) for folder in PROMISED_S], ids=["base", "example"])


def of_kind(found: list[Document], kind: str) -> dict[str, Document]:
    return {d["metadata"]["name"]: d for d in found if d["kind"] == kind}


def replicas(found: list[Document], name: str) -> int:
    """How many pods of a deployment there are at least."""
    scaled = {
        d["spec"]["scaleTargetRef"]["name"]: d["spec"] for d in of_kind(found, "HorizontalPodAutoscaler").values()
    }
    if name in scaled:
        return int(scaled[name]["minReplicas"])
    return int(of_kind(found, "Deployment")[name]["spec"]["replicas"])


def share(of: int, limit: int | str) -> int:
    """A number of pods, or a percentage of them: Kubernetes rounds both kinds up."""
    return ceil(of * int(limit.rstrip("%")) / 100) if isinstance(limit, str) else limit


def evictable(pods: int, budget: Document) -> int:
    """How many of so many healthy pods may be evicted at a time."""
    [(name, limit)] = ((n, budget[n]) for n in ("minAvailable", "maxUnavailable") if n in budget)
    return pods - share(pods, limit) if name == "minAvailable" else min(pods, share(pods, limit))


def seconds(quantity: str) -> float:
    """A quantity as Kubernetes writes it.

    >>> seconds("100m"), seconds("2")
    (0.1, 2.0)
    """
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def selectors(found: list[Document]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Kind, name and labels of everything that selects pods."""
    for document in found:
        spec, kind, name = document.get("spec", {}), document["kind"], document["metadata"]["name"]
        if kind in {"Deployment", "PodDisruptionBudget"}:
            yield kind, name, spec["selector"]["matchLabels"]
        elif kind == "Service":
            yield kind, name, spec["selector"]
        elif kind == "NetworkPolicy":
            yield kind, name, spec["podSelector"]["matchLabels"]
    for name, pod in pods(found).items():
        for spread in pod["spec"].get("topologySpreadConstraints", ()):
            yield "spread", name, spread["labelSelector"]["matchLabels"]


@rendered
def test_each_selector_selects_the_pods_of_its_own_name_and_nobody_else_s(found: list[Document]) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(found).items()}
    for kind, name, wanted in selectors(found):
        selected = {pod for pod, its in labels.items() if wanted.items() <= its.items()}
        assert selected == ({*labels} if wanted == EVERYBODY else {name}), (kind, name)
    assert [name for kind, name, wanted in selectors(found) if wanted == EVERYBODY] == ["homeostat"]


@rendered
def test_every_budget_lets_a_node_be_drained_and_none_lets_go_of_all_that_stand_in_for_one_another(
    found: list[Document],
) -> None:
    budgets = of_kind(found, "PodDisruptionBudget")
    assert budgets.keys() == of_kind(found, "Deployment").keys()
    for name, budget in budgets.items():
        there = replicas(found, name)
        assert evictable(there, budget["spec"]) >= 1, f"{name}: no node that it runs on could be drained"
        assert there == 1 or evictable(there, budget["spec"]) < there, f"{name}: all could be gone at once"


@pytest.mark.parametrize(
    ("there", "budget", "allowed"),
    [
        (1, {"minAvailable": 1}, 0),
        (2, {"minAvailable": "50%"}, 1),
        (3, {"minAvailable": "50%"}, 1),
        (1, {"maxUnavailable": "10%"}, 1),
        (2, {"maxUnavailable": 2}, 2),
        (3, {"maxUnavailable": 0}, 0),
    ],
)
def test_a_budget_is_read_as_kubernetes_does(there: int, budget: Document, allowed: int) -> None:
    assert evictable(there, budget) == allowed


@rendered
def test_what_is_scaled_is_there_and_says_nowhere_else_how_many_there_are(found: list[Document]) -> None:
    for scaler in of_kind(found, "HorizontalPodAutoscaler").values():
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["apiVersion"], target["kind"]) == ("apps/v1", "Deployment")
        # else each apply would take back what the autoscaler has done
        assert "replicas" not in of_kind(found, "Deployment")[target["name"]]["spec"]
        assert 2 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]


def metrics_of(found: list[Document]) -> dict[str, Any]:
    """What the predictors are scaled by, by type."""
    [scaler] = of_kind(found, "HorizontalPodAutoscaler").values()
    return {metric["type"]: metric[metric["type"].lower()] for metric in scaler["spec"]["metrics"]}


@rendered
def test_the_adapter_makes_each_metric_for_the_kind_of_object_that_it_is_asked_of(found: list[Document]) -> None:
    rules = yaml.safe_load((DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    made = {rule["name"]["as"]: rule for rule in rules}
    metrics = metrics_of(found)
    for kind, resource, series in (("Pods", "pod", REQUESTS), ("Object", "service", f"{REQUEST_LATENCY}_bucket")):
        rule = made[metrics[kind]["metric"]["name"]]
        assert rule["seriesQuery"].partition("{")[0] == series
        assert f'{resource}!=""' in rule["seriesQuery"]
        assert rule["resources"]["overrides"][resource] == {"resource": resource}
        assert 'route="predict"' in rule["metricsQuery"]
    service = metrics["Object"]["describedObject"]
    assert service["kind"] == "Service"
    assert service["name"] in of_kind(found, "Service")
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "kubernetes.yml").read_text())["scrape_configs"][0]
    component = "__meta_kubernetes_pod_label_app_kubernetes_io_component"
    [named] = [r for r in scraped["relabel_configs"] if r.get("target_label") == "service"]
    assert named["source_labels"] == [component]  # so a Service has to be called as the component of its pods
    for name, each in of_kind(found, "Service").items():
        assert each["spec"]["selector"]["app.kubernetes.io/component"] == name


@pytest.mark.parametrize("folder", PROMISED_S, ids=lambda folder: folder.name)
def test_predictors_are_added_when_the_p99_is_no_longer_what_the_contract_promises(folder: Path) -> None:
    target = metrics_of(render(folder))["Object"]["target"]
    assert (target["type"], seconds(target["value"])) == ("Value", pytest.approx(PROMISED_S[folder]))
