"""Deployment files grant no root, no privileges, no writable file system and no open ports. Starts nothing."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pubnub_bridge.settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def pods() -> list[dict[str, object]]:
    """The pod of each Deployment and Job."""
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "friends-presence.yaml").read_text("utf-8"))
    return [one["spec"]["template"]["spec"] for one in documents if one["kind"] in {"Deployment", "Job"}]


def test_the_service_never_runs_as_root_and_cannot_write() -> None:
    """The image, its pods, its Compose services and the systemd unit."""
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    users = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert users, "the image names no user"
    assert users[-1] not in {"0", "root"}
    found = pods()
    assert len(found) >= 3
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True  # type: ignore[index]
        for container in pod["containers"]:  # type: ignore[attr-defined]
            granted = container["securityContext"]
            assert granted["readOnlyRootFilesystem"] is True
            assert granted["allowPrivilegeEscalation"] is False
            assert granted["capabilities"] == {"drop": ["ALL"]}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    for name in ("service", "migrate"):
        service = compose["services"][name]
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["cap_drop"] == ["ALL"], name
    unit = (DEPLOY / "systemd" / "friends-presence.service").read_text("utf-8")
    for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert line in unit.splitlines()


def test_nothing_listens_to_the_network_by_default() -> None:
    """The API listens on loopback; Compose publishes on loopback only, and no database port."""
    assert Settings.model_fields["host"].default == "127.0.0.1"
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    for name, service in compose["services"].items():
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), (name, port)
