"""The manifests are valid by Kubernetes' schemas, misspelt fields included, and are consistent with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

validate = pytest.importorskip("kubernetes_validate", reason="requirements/kubernetes.txt is not installed")
FILE = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "friends-presence.yaml"
VERSIONS = ("1.31", "1.37")
"""autoscaling/v2, seccompProfile and all else here are in both."""
pytestmark = pytest.mark.containers


def documents() -> list[dict[str, Any]]:
    """All documents of the file."""
    return [one for one in yaml.safe_load_all(FILE.read_text("utf-8")) if one]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(version: str) -> None:
    """Strictly: a field that the schema does not know is an error."""
    for one in documents():
        validate.validate(one, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    one = next(one for one in documents() if one["kind"] == "Deployment")
    one["spec"]["replica"] = 2
    with pytest.raises(validate.ValidationError):
        validate.validate(one, VERSIONS[-1], strict=True)


def test_every_selector_finds_a_deployment() -> None:
    """Services, budgets and autoscalers name labels and deployments that exist."""
    found = documents()
    deployments = [one for one in found if one["kind"] == "Deployment"]
    labels = [one["spec"]["template"]["metadata"]["labels"]["app"] for one in deployments]
    names = [one["metadata"]["name"] for one in deployments]
    for one in found:
        match one["kind"]:
            case "Service":
                assert one["spec"]["selector"]["app"] in labels
            case "PodDisruptionBudget":
                assert one["spec"]["selector"]["matchLabels"]["app"] in labels
            case "HorizontalPodAutoscaler":
                assert one["spec"]["scaleTargetRef"]["name"] in names


def test_every_container_is_locked_down() -> None:
    """Not root, writable /tmp only, no capabilities."""
    for one in documents():
        if one["kind"] not in {"Deployment", "Job"}:
            continue
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], one["metadata"]["name"]
        for container in pod["containers"]:
            held = container["securityContext"]
            assert held["readOnlyRootFilesystem"]
            assert not held["allowPrivilegeEscalation"]
            assert held["capabilities"] == {"drop": ["ALL"]}
