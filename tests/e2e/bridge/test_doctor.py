"""`friends-presence doctor` against real databases and the origin: what works is fine, what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_stack.engines.ports import free_port
from local_stack.origin.app import Running
from pubnub_bridge.doctor.examine import examine
from pubnub_bridge.doctor.finding import Finding, State
from tests.e2e.bridge.conftest import World, eventually
from tests.e2e.bridge.test_stored_of_a_user import command, stack_file


def checks(findings: list[Finding], state: State) -> dict[str, str]:
    """What was found, by "area: check", of the findings in this state."""
    return {f"{one.area}: {one.check}": one.found for one in findings if one.state is state}


async def test_a_healthy_system_has_no_failure_and_no_difference(strict_world: World) -> None:
    """With Access Manager, two users online and App Context written: --deep finds no difference."""
    world = strict_world
    await world.create_friends("ann", "bob")
    for user in ("ann", "bob"):
        _, session = await world.call("POST", "/v1/session", user)
        device = world.device(user)
        device.client.set_token(session["token"])
        device.appear()

    async def settled() -> bool:
        _, response = await world.call("POST", "/v1/presence:query", json={"ids": ["ann", "bob"]})
        return all(row["online"] for row in response["presence"])

    await eventually(settled)
    world.origin.origin.keysets["demo"].settings.presence.interval_s = 1.0
    findings = await examine(world.settings, deep=True)
    assert checks(findings, State.FAILURE) == {}
    fine = checks(findings, State.FINE)
    assert {
        "graph: migrations",
        "graph: index :User",
        "graph: index :Online",
        "queue: append-only file",
        "clocks: graph",
        "clocks: queue",
        "clocks: PubNub",
        "PubNub: publish",
        "PubNub: Access Manager",
        "PubNub: App Context",
        "PubNub: presence",
        "PubNub: Presence Deltas",
        "truth: flags and Here Now",
        "truth: flags and App Context",
    } <= set(fine)
    assert "interval events name" in fine["PubNub: Presence Deltas"]
    assert "PubNub: control API" in checks(findings, State.WARNING)


async def test_what_is_broken_is_named(quiet: World) -> None:
    """Deltas off, tokens without Access Manager, a user present without a flag, a flag without a present user."""
    presence = quiet.origin.origin.keysets["demo"].settings.presence
    presence.deltas, presence.interval_s = False, 1.0
    await quiet.create_friends("ann", "bob")
    await quiet.graph.statement(
        "MATCH (u:User {id: 'bob'}) SET u:Online, u.presence_at = 1, u.shard = $shard",
        shard=quiet.shards.shard("bob"),
    )
    quiet.device("ann").appear()

    async def present() -> bool:
        return (await quiet.context.presence_lookup.look_up("ann")).online

    await eventually(present)
    settings = quiet.settings.model_copy(update={"access_manager": True})
    findings = await examine(settings, deep=True)
    failures = checks(findings, State.FAILURE)
    assert set(failures) == {
        "PubNub: Access Manager",
        "truth: flags and Here Now",
        "truth: flags and App Context",
    }
    assert "ann: present and not flagged online" in failures["truth: flags and Here Now"]
    assert "bob: flagged online and not present" in failures["truth: flags and Here Now"]
    assert "PubNub: Presence Deltas" in checks(findings, State.WARNING)


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_command_says_what_to_do_and_exits_with_1(
    quiet: World, origin: Running, tmp_path: Path, as_json: bool
) -> None:
    """An unreachable origin is one failure with its remedy, as JSON and as a table."""
    away = quiet.settings.model_copy(update={"pubnub_origin": f"127.0.0.1:{free_port()}"})
    stack = stack_file(World(quiet.graph, origin, away, quiet.api, quiet.context), tmp_path / "stack.json")
    code, shown = await command("doctor", "--stack", stack, *(["--json"] if as_json else []))
    assert code == 1
    if as_json:
        report = json.loads(shown)
        failures = [one for one in report["findings"] if one["state"] == "failure"]
        assert report["ok"] is False
        assert [(one["area"], one["check"]) for one in failures] == [("PubNub", "origin")]
        assert "PUBNUB_ORIGIN" in failures[0]["todo"]
    else:
        assert "✗" in shown
        assert "what to do" in shown


async def test_unreachable_databases_are_findings_too(quiet: World) -> None:
    """Neither graph nor queue responds: each is reported, and PubNub is not called."""
    nowhere = {
        "neo4j_uri": f"bolt://127.0.0.1:{free_port()}",
        "redis_url": f"redis://127.0.0.1:{free_port()}/0",
    }
    findings = await examine(type(quiet.settings)(**(quiet.settings.model_dump() | nowhere)), deep=True)
    assert set(checks(findings, State.FAILURE)) == {"graph: server", "queue: server"}
