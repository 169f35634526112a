"""The keys of one local stack: from the environment where set, else generated once and stored in the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.engines.data_folder import DataFolder

AUDIENCE = "friends-presence"
ISSUER = "friends-presence-local"
PUBNUB = "ps.pndsn.com"


@dataclass(frozen=True)
class Access:
    """How to reach the service, and the keyset it uses."""

    jwt_secret: str = field(repr=False)
    jwt_audience: str
    jwt_issuer: str
    service_key: str = field(repr=False)
    console_key: str = field(repr=False)
    publish_key: str
    subscribe_key: str
    secret_key: str = field(repr=False)
    origin: str
    """Host of PubNub, or of another server that speaks its protocol; empty for the local origin."""

    def options(self) -> dict[str, str]:
        """The service's settings, by environment variable."""
        return {
            "JWT_SECRET": self.jwt_secret,
            "JWT_AUDIENCE": self.jwt_audience,
            "JWT_ISSUER": self.jwt_issuer,
            "SERVICE_KEY": self.service_key,
            "CONSOLE_KEY": self.console_key,
            "PUBNUB_PUBLISH_KEY": self.publish_key,
            "PUBNUB_SUBSCRIBE_KEY": self.subscribe_key,
            "PUBNUB_SECRET_KEY": self.secret_key,
        }


def read(data: DataFolder, environ: Mapping[str, str]) -> Access:
    """The keys of this folder. PUBNUB_SUBSCRIBE_KEY in the environment means: no local origin."""
    env = Environment(environ)
    is_local = "PUBNUB_SUBSCRIBE_KEY" not in environ
    return Access(
        jwt_secret=env.get("JWT_SECRET") or data.secret("jwtSecret"),
        jwt_audience=env.get("JWT_AUDIENCE") or AUDIENCE,
        jwt_issuer=env.get("JWT_ISSUER") or ISSUER,
        service_key=env.get("SERVICE_KEY") or data.secret("serviceKey"),
        console_key=env.get("CONSOLE_KEY") or data.secret("consoleKey"),
        publish_key=f"pub-{data.secret('keyset')}" if is_local else env.get("PUBNUB_PUBLISH_KEY"),
        subscribe_key=f"sub-{data.secret('keyset')}" if is_local else env.get("PUBNUB_SUBSCRIBE_KEY"),
        secret_key=f"sec-{data.secret('keysetSecret')}" if is_local else env.get("PUBNUB_SECRET_KEY"),
        origin="" if is_local else env.get("PUBNUB_ORIGIN") or PUBNUB,
    )


@dataclass(frozen=True)
class Environment:
    """Settings of the environment, each as a value or as a file that contains it."""

    environ: Mapping[str, str]

    def get(self, name: str) -> str:
        """The content of the file in ``name_FILE``, else the value of `name`, else empty."""
        if path := self.environ.get(f"{name}_FILE"):
            return Path(path).read_text(encoding="utf-8").removesuffix("\n")
        return self.environ.get(name, "")


def without_files(environ: Mapping[str, str], replaced: Mapping[str, str]) -> dict[str, str]:
    """The environment with `replaced` set and their ``…_FILE`` variables removed, so that no setting is set twice."""
    files = {f"{name}_FILE" for name in replaced}
    return {name: value for name, value in environ.items() if name not in files} | dict(replaced)
