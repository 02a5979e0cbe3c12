import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.flow import FLOW
from tests.architecture.variables import is_read

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DEPLOYED: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, Any] = DEPLOYED["services"]
PROCESSES = {row.process for row in FLOW}
SCALED = {row.process for row in FLOW if row.shared}  # more than one of them may run
LOOPBACK = "127.0.0.1:"
NO_SECRETS = {"CONTRACT", "KAFKA_LANES", "KAFKA_CLIENT"}  # these have a default
WITHOUT_HEALTH = {"traffic"}  # it serves nobody
WRITES_TO_ITS_ROOT = {"kafka"}  # the image puts its configuration together at each start


def secrets() -> dict[str, str]:
    """The names of the sample, filled in by the script that is there for it."""
    made = subprocess.run(["sh", ROOT / "deploy" / "new-env.sh"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in made.stdout.splitlines() if line and not line.startswith("#"))


def test_the_file_is_sound_by_the_compose_specification() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())  # as check-jsonschema 0.39.0 has it
    faults = Draft202012Validator(schema).iter_errors(DEPLOYED)
    assert [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in faults] == []
    broken = {**DEPLOYED, "services": {**SERVICES, "kafka": {**SERVICES["kafka"], "healthchek": {}}}}
    assert not Draft202012Validator(schema).is_valid(broken)


def test_the_processes_are_those_of_the_map_and_of_services() -> None:
    run_as = {
        name: service["command"][-1].removeprefix("services.")
        for name, service in SERVICES.items()
        if "services." in str(service.get("command"))
    }
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert run_as == {process: process for process in PROCESSES}
    assert folders == PROCESSES


def test_prometheus_scrapes_every_process_under_its_name() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "homeostat"]
    found = {target["labels"]["process"]: target["targets"] for target in job["static_configs"]}
    assert found == {process: [f"{process}:8080"] for process in PROCESSES - SCALED}


def test_each_of_several_processes_of_a_kind_is_scraped_by_itself() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "homeostat"]
    [found] = job["dns_sd_configs"]
    assert (set(found["names"]), found["type"], found["port"]) == (SCALED, "A", 8080)
    assert {"source_labels": ["__meta_dns_name"], "regex": "(.+)", "target_label": "process"} in job["relabel_configs"]
    page = (ROOT / "deploy" / "README.md").read_text()
    assert set(re.findall(r"--scale (\w+)=", page)) <= SCALED


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_bounded_and_has_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service.get("read_only", False) is (name not in WRITES_TO_ITS_ROOT)
    assert not service.keys() & {"privileged", "network_mode", "pid", "cap_add"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9/.-]+:v?\d+\.\d+[a-z0-9.-]*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "ports" in service])
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith(LOOPBACK) for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - WITHOUT_HEALTH))
def test_a_container_has_a_health_check_that_asks_itself(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries"} <= check.keys()
    asked = " ".join(check["test"])
    ports = {port.split(":")[-1] for port in SERVICES[name].get("ports", ())} or {"8080"}
    assert "http" not in asked or any(f":{port}/" in asked for port in ports)


def test_a_process_waits_for_every_server_that_it_is_told_of() -> None:
    servers = {"kafka": "KAFKA__BROKERS", "redis": "REDIS__URL", "postgres": "SQL__URL", "mlflow": "MLFLOW__URL"}
    for process in PROCESSES:
        told = SERVICES[process]["environment"]
        assert SERVICES[process]["depends_on"].keys() == servers.keys()
        assert all(f"{server}:" in told[f"HOMEOSTAT_{name}"] for server, name in servers.items())


def test_who_is_waited_for_has_a_health_check() -> None:
    for service in SERVICES.values():
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_every_volume_is_declared_and_used_and_every_file_is_there() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", ())]
    named = {parts[0] for parts in mounts if re.fullmatch(r"\w+", parts[0])}
    files = {parts[0] for parts in mounts if parts[0].startswith("./")}
    assert named == DEPLOYED["volumes"].keys()
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert all(parts[-1] == "ro" for parts in mounts if parts[0] in files)


def test_a_process_is_told_nothing_that_it_does_not_read() -> None:
    variables = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in variables if name.startswith("HOMEOSTAT_") and not is_read(name)} == {
        "HOMEOSTAT_DB_PASSWORD"
    }


def test_the_demo_s_contract_is_the_flights_one_with_shorter_spans() -> None:
    demo, flights = (
        load_contract(ROOT / path) for path in ("deploy/demo/contract.yaml", "homeostat/examples/flights/contract.yaml")
    )
    assert demo.event.fields == flights.event.fields
    assert demo.label.facts == flights.label.facts
    assert [spanless(demo, name) for name in demo.features] == [spanless(flights, name) for name in flights.features]
    assert (demo.objective, demo.canary.share) == (flights.objective, flights.canary.share)


def spanless(contract: Contract, name: str) -> tuple[str, dict[str, Any]]:
    return name, contract.features[name].model_dump(exclude={"over"})


def test_the_sample_names_every_secret_and_gives_none() -> None:
    sample = (ROOT / "deploy" / "sample.env").read_text()
    lines = [line for line in sample.splitlines() if line and not line.startswith("#")]
    wanted = set(re.findall(r"\$\{(\w+):\?\}", COMPOSE.read_text()))
    assert {line.removesuffix("=") for line in lines} == wanted
    assert all(line.endswith("=") for line in lines)


def test_every_variable_is_demanded_but_those_that_are_no_secrets() -> None:
    text = re.sub(r"^ *#.*$", "", COMPOSE.read_text(), flags=re.MULTILINE).replace("$$", "")
    asked = re.findall(r"\$(\w+|\{[^}]*\})", text)
    taken_as_they_come = {name for name in asked if not re.fullmatch(r"\{\w+:\?\}", name)}
    assert {re.match(r"\{?(\w+)", name)[1] for name in taken_as_they_come} == NO_SECRETS  # type: ignore[index]


def test_the_api_asks_for_a_token() -> None:
    for name in ("predictor", "traffic"):
        assert SERVICES[name]["environment"]["HOMEOSTAT_TOKEN"] == "${HOMEOSTAT_TOKEN:?}"  # noqa: S105 - where it is
        assert "HOMEOSTAT_ALLOW_ANONYMOUS" not in SERVICES[name]["environment"]


def test_redis_is_as_durable_as_the_readme_says() -> None:
    [policy] = re.findall(r"--appendfsync (\w+)", str(SERVICES["redis"]["command"]))
    assert "--appendonly yes" in str(SERVICES["redis"]["command"])
    assert f"with `appendfsync {policy}`, as compose has it" in (ROOT / "README.md").read_text()


def test_generated_secrets_are_long_and_all_different() -> None:
    values = list(secrets().values())
    assert len(set(values)) == len(values) == len(set(secrets().values()) - set(values))
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in values)


def test_every_script_is_executable_and_parses() -> None:
    for script in ("new-env.sh", "postgres/roles.sh", "mlflow/serve.sh"):
        path = ROOT / "deploy" / script
        assert path.stat().st_mode & 0o111, f"{script} is not executable"
        subprocess.run(["sh", "-n", path], check=True)


def test_docker_compose_itself_takes_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not on this machine")
    command = [docker, "compose", "--file", COMPOSE, "--profile", "demo", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=secrets() | {"PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
