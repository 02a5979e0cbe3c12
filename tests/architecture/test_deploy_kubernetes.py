import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from homeostat.flow import FLOW
from homeostat.metric_names import METRICS
from tests.architecture.rendered import Document, containers, documents, pods, render, render_by_kubectl
from tests.architecture.variables import is_read

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
EXAMPLE = KUBERNETES / "overlays" / "example"
FOLDERS = (KUBERNETES / "base", EXAMPLE)
RENDERED = render(EXAMPLE)
PODS = pods(RENDERED)
PROCESSES = {row.process for row in FLOW}
VERSION = "1.33"  # of the schemas; older and newer clusters take the same documents
BROUGHT = {"homeostat-settings", "homeostat-contract", "homeostat-secrets"}  # by the overlay and by kubectl
SHARED = {row.process for row in FLOW if row.shared}  # processes that stand in for one another
LED = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py") if "lead_rounds" in path.read_text()}


def named(kind: str) -> dict[str, Document]:
    return {d["metadata"]["name"]: d for d in RENDERED if d["kind"] == kind}


def called(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


@pytest.mark.parametrize("document", RENDERED, ids=called)
def test_a_document_is_sound_by_kubernetes_own_schema(document: Document) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_kubectl_renders_the_same() -> None:
    theirs = render_by_kubectl(EXAMPLE)
    if theirs is None:
        pytest.skip("kubectl is not on this machine")
    for document in theirs:
        kubernetes_validate.validate(document, VERSION, strict=True)
    made = {called(d): d for d in theirs if d["kind"] != "ConfigMap"}
    assert made.keys() == {called(d) for d in RENDERED}
    for name, pod in PODS.items():
        assert unordered(pods(theirs)[name]["spec"]) == unordered(pod["spec"])


def unordered(value: Any) -> Any:
    """A document without what kustomize changes: the order of lists and the digests behind generated names."""
    if isinstance(value, dict):
        return {key: unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((unordered(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return (
        re.sub(r"^(homeostat-(?:settings|contract))-[a-z0-9]{10}$", r"\1", value) if isinstance(value, str) else value
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_is_referred_to_and_every_reference_is_there(folder: Path) -> None:
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    files = [file for generator in plan.get("configMapGenerator", ()) for file in generator.get("files", ())]
    patches = [patch["path"] for patch in plan.get("patches", ()) if "path" in patch]
    referred = {*plan["resources"], *patches, *files}
    assert [name for name in referred if not (folder / name).exists()] == []
    assert {path.name for path in folder.iterdir()} == {n for n in referred if "/" not in n} | {"kustomization.yaml"}


def test_a_patch_finds_what_it_is_for() -> None:
    there = {called(d) for folder in FOLDERS for d in render(folder)}
    plan = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text())
    for patch in plan["patches"]:
        target = patch.get("target") or {"kind": "", "name": ""}
        wanted = called(documents(EXAMPLE / patch["path"])[0]) if "path" in patch else "{kind} {name}".format(**target)
        assert wanted in there


def test_the_processes_are_those_of_the_map() -> None:
    run = {name: pod["spec"]["containers"][0]["args"][-1] for name, pod in PODS.items()}
    assert run == {name: f"services.{name}" for name in PROCESSES} | {"trainer": "pipelines.retrain"}
    assert named("PodDisruptionBudget").keys() == PROCESSES - {"trainer"}


def test_what_runs_as_a_job_is_counted_where_its_records_are_read() -> None:
    stays = named("Deployment").keys()
    assert {row.process for row in FLOW if row.job} == PROCESSES - stays
    assert all(row.job for row in FLOW if row.process not in stays)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_restricted_bounded_and_without_a_token(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("name", sorted(PROCESSES - {"trainer"}))
def test_a_process_that_stays_is_probed(name: str) -> None:
    [container] = PODS[name]["spec"]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_who_looks_at_everything_never_runs_twice() -> None:
    for name, deployment in named("Deployment").items():
        alone = deployment["spec"]["strategy"].get("type") == "Recreate" and deployment["spec"]["replicas"] == 1
        assert alone is (name not in SHARED | LED)


def test_of_a_process_that_is_led_another_one_stands_by_on_another_node() -> None:
    assert {*LED} == {"healer"}
    for name in LED:
        deployment = named("Deployment")[name]["spec"]
        assert deployment["replicas"] == 2
        assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert named("PodDisruptionBudget")[name]["spec"]["maxUnavailable"] == 1
        [spread] = PODS[name]["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert spread["labelSelector"]["matchLabels"] == PODS[name]["metadata"]["labels"]


def test_a_claim_of_pods_on_several_nodes_can_be_written_from_each() -> None:
    [claim] = named("PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_what_is_mounted_and_read_exists_or_is_brought_by_the_overlay() -> None:
    claims = named("PersistentVolumeClaim").keys()
    for pod in PODS.values():
        for volume in pod["spec"]["volumes"]:
            assert volume.get("persistentVolumeClaim", {"claimName": "homeostat"})["claimName"] in claims
            assert volume.get("configMap", {"name": "homeostat-contract"})["name"] in BROUGHT
        for source in pod["spec"]["containers"][0]["envFrom"]:
            [brought] = source.values()
            assert brought["name"] in BROUGHT
            assert not brought.get("optional"), "a predictor without its secret would be open or end at once"
        assert pod["spec"]["serviceAccountName"] in named("ServiceAccount")


def test_selectors_select_the_pods_they_are_for() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, document in named(kind).items():
            assert document["spec"]["selector"]["matchLabels"] == labels[name]
    for name, service in named("Service").items():
        assert service["spec"]["selector"] == labels[name]


def test_an_image_has_a_version() -> None:
    images = {container["image"] for container in containers(RENDERED + render(FOLDERS[0]))}
    assert all(re.fullmatch(r".+:\d+\.\d+\.\d+", image) for image in images)


def test_the_autoscaler_s_metrics_are_made_of_ours() -> None:
    rules = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    made = {rule["name"]["as"]: rule["seriesQuery"].split("{")[0].removesuffix("_bucket") for rule in rules}
    assert set(made.values()) <= {metric.name for metric in METRICS}
    metrics = named("HorizontalPodAutoscaler")["predictor"]["spec"]["metrics"]
    assert {metric[metric["type"].lower()]["metric"]["name"] for metric in metrics} == made.keys()


def test_the_example_s_contract_is_the_flights_one() -> None:
    flights = ROOT / "homeostat" / "examples" / "flights" / "contract.yaml"
    assert (EXAMPLE / "contract.yaml").read_text() == flights.read_text()


def test_prometheus_on_kubernetes_has_the_rules_of_everywhere() -> None:
    here, there = (
        yaml.safe_load((ROOT / "deploy" / "prometheus" / name).read_text())
        for name in ("prometheus.yml", "kubernetes.yml")
    )
    assert there["rule_files"] == here["rule_files"]
    assert there["scrape_configs"][0]["job_name"] == "homeostat"  # which the alert TargetDown asks for


def test_a_process_is_told_nothing_that_it_does_not_read() -> None:
    text = (EXAMPLE / "kustomization.yaml").read_text()
    variables = set(re.findall(r"\bHOMEOSTAT_[A-Z_]+(?==)", text))
    assert len(variables) > 8
    assert [name for name in sorted(variables) if not is_read(name)] == []


def test_the_predictor_s_token_is_demanded_and_the_overlay_says_how_to_bring_it() -> None:
    [container] = PODS["predictor"]["spec"]["containers"]
    assert container["env"] == [
        {
            "name": "HOMEOSTAT_TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "homeostat-secrets", "key": "HOMEOSTAT_TOKEN"}},
        }
    ]
    assert "--from-literal HOMEOSTAT_TOKEN=" in (EXAMPLE / "kustomization.yaml").read_text()


def test_no_secret_is_in_a_file() -> None:
    assert not named("Secret")
    for path in KUBERNETES.rglob("*.yaml"):
        assert not re.search(r"(PASSWORD|TOKEN|__URL=\w+://[^ ]*:[^.@ ]+@)=?\s*[:=]\s*[\w-]{4,}", path.read_text())
