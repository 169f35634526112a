"""How to connect to a running service: from the file of `up --json`, or from the settings of the environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_service.errors import SetupError
from graph_service.settings import load
from pubnub_bridge.settings import Settings

DEFAULT_PATH = Path(".data/stack.json")
"""Where `up` writes the file by default, relative to its working directory."""


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """The API's address, and the settings that its clients share with it."""

    api: str
    """``http://host:port``"""
    settings: Settings
    origin: str
    """``host`` or ``host:port`` of PubNub, or of the local origin."""


def read_connection_info(stack: Path | None) -> ConnectionInfo:
    """From the file, else from the default file where it exists, else from the environment.

    Raises:
        SetupError: the file is missing or malformed, or an option is wrong.
    """
    stack = stack or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
    if stack is None:
        settings = load(Settings)
        return ConnectionInfo(f"http://{settings.host}:{settings.port}", settings, settings.pubnub_origin)
    settings = load(Settings, **options(stack))
    return ConnectionInfo(str(_member(stack, "api")), settings, str(_member(stack, "origin")))


def options(stack: Path) -> dict[str, str]:
    """The settings that connect to a stack started with `up --json`.

    Raises:
        SetupError: the file is missing or malformed.
    """
    neo4j = _member(stack, "neo4j")
    try:
        return {
            "environment": "development",
            "neo4j_uri": neo4j["uri"],
            "neo4j_user": neo4j["user"],
            "neo4j_password": neo4j["password"],
            "redis_url": _member(stack, "redis"),
            "jwt_secret": _member(stack, "jwtSecret"),
            "jwt_audience": _member(stack, "jwtAudience"),
            "jwt_issuer": _member(stack, "jwtIssuer"),
        }
    except (KeyError, TypeError) as problem:
        raise _malformed(stack, problem) from problem


def bridge_options(stack: Path) -> dict[str, Any]:
    """The same with PubNub's keys, for callers that act as the service.

    Raises:
        SetupError: the file is missing or malformed.
    """
    origin = str(_member(stack, "origin"))
    return options(stack) | {
        "pubnub_origin": origin,
        "pubnub_tls": not origin.startswith(("127.0.0.1:", "localhost:")),
        "pubnub_publish_key": _member(stack, "publishKey"),
        "pubnub_subscribe_key": _member(stack, "subscribeKey"),
        "pubnub_secret_key": _member(stack, "secretKey"),
        "service_key": _member(stack, "serviceKey"),
        "console_key": _member(stack, "consoleKey"),
    }


def _member(stack: Path, name: str) -> Any:
    try:
        return json.loads(stack.read_text("utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise _malformed(stack, problem) from problem


def _malformed(stack: Path, problem: Exception) -> SetupError:
    return SetupError(
        what=f"{stack} is not a file of `up --json` ({problem})",
        todo=f"Start the stack with: friends-presence up --json {stack}",
    )
