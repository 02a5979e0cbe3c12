"""What an overlay of deploy/kubernetes comes to: the part of kustomize that our files use."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
NAMED = ("containers", "volumes", "env", "ports")
"""Lists that kustomize merges by the name of their items."""


def documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def render(folder: Path) -> list[Document]:
    """Return the documents of an overlay: resources, merged with patches, with images renamed."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Document] = []
    for resource in plan["resources"]:
        path = folder / resource
        found += render(path) if path.is_dir() else documents(path)
    for patch in plan.get("patches", ()):
        if "path" in patch:
            found = [
                _patched(document, documents(folder / patch["path"])[0], patch.get("target")) for document in found
            ]
        if "patch" in patch:
            _edit(found, patch["target"], yaml.safe_load(patch["patch"]))
    for image in plan.get("images", ()):
        for container in containers(found):
            if container["image"].split(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def pods(found: list[Document]) -> dict[str, Document]:
    """Return the pod template of each workload by its name."""
    jobs = {
        d["metadata"]["name"]: d["spec"]["jobTemplate"]["spec"]["template"] for d in found if d["kind"] == "CronJob"
    }
    return jobs | {d["metadata"]["name"]: d["spec"]["template"] for d in found if d["kind"] == "Deployment"}


def containers(found: list[Document]) -> list[Document]:
    return [container for pod in pods(found).values() for container in pod["spec"]["containers"]]


def render_by_kubectl(folder: Path) -> list[Document] | None:
    """Return what kubectl makes of an overlay, None where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return None
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def _edit(found: list[Document], target: Document, operations: list[Document]) -> None:
    """Carry out a JSON patch (RFC 6902) in the document that it is for."""
    [document] = [d for d in found if target == {"kind": d["kind"], "name": d["metadata"]["name"]}]
    for operation in operations:
        _replace(document, operation)


def _replace(document: Document, operation: Document) -> None:
    """Replace what has to be there."""
    assert operation["op"] == "replace"
    *way, last = [int(part) if part.isdecimal() else part for part in operation["path"].split("/")[1:]]
    place: Any = document
    for part in way:
        place = place[part]
    assert place[last] is not None
    place[last] = operation["value"]


def _patched(document: Document, patch: Document, target: Document | None) -> Document:
    wanted = (target or {}).get("kind", patch["kind"])
    named = target or document["metadata"]["name"] == patch["metadata"]["name"]
    if document["kind"] != wanted or not named:
        return document
    merged: Document = _merged(document, patch)
    merged["metadata"]["name"] = document["metadata"]["name"]
    return merged


def _merged(old: Any, new: Any, key: str = "") -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {k: _merged(old[k], new[k], k) if k in old and k in new else new.get(k, old.get(k)) for k in old | new}
    if isinstance(old, list) and isinstance(new, list) and key in NAMED:
        before = {item["name"]: item for item in old}
        after = {item["name"]: item for item in new}
        return [
            _merged(before[n], after[n]) if n in before and n in after else after.get(n, before.get(n))
            for n in after | before
        ]
    return new
