"""Every setting of the graph service: name, default, limits and text. Does no I/O but to read the environment once.

A setting is an environment variable without a prefix, named as the field below in capitals. A secret may instead be
given by file: ``JWT_SECRET_FILE=/run/secrets/jwt``. `load` makes the object once; it is frozen and handed down.
The bridge's settings extend this class.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, overload

import limits
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from graph_service.errors import SetupError
from graph_service.model.sharding import ShardMap

MIN_SECRET_CHARACTERS = 32
"""Characters; 256 bits of an HS256 key (RFC 7518, 3.2)."""
KNOWN_PASSWORDS = frozenset({"neo4j", "password", "changeme", "change-me", "secret", "test", "admin"})
"""Defaults of Neo4j and of examples."""


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _rate(value: str) -> str:
    """A rate of the `limits` library, such as '100/second', or empty for none."""
    if value:
        limits.parse(value)
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        ipaddress.ip_network(network)
    return value


RENAMED: Mapping[str, str] = {
    "HOLD_ONLINE": "DEBOUNCE_ONLINE_SECONDS",
    "HOLD_LEAVE": "DEBOUNCE_LEAVE_SECONDS",
    "HOLD_TIMEOUT": "DEBOUNCE_TIMEOUT_SECONDS",
    "BODY_BYTES_AT_ONCE": "MAX_CONCURRENT_BODY_BYTES",
    "CALLS_WAITING": "MAX_QUEUED_REQUESTS",
    "HEADER_SECONDS": "HEADER_TIMEOUT_SECONDS",
    "BODY_SECONDS": "BODY_TIMEOUT_SECONDS",
    "JWT_LEEWAY": "JWT_LEEWAY_SECONDS",
    "STORM_SHARE": "STORM_MIN_SHARE",
    "STORM_SPAN": "STORM_DETECTION_SECONDS",
    "STORM_WINDOW": "STORM_BATCH_WINDOW_SECONDS",
    "COALESCE_LONGEST": "BATCH_WINDOW_MAX_SECONDS",
    "PUBLISH_RETRY_TIMES": "PUBLISH_MAX_ATTEMPTS",
    "WEBHOOKS_AT_ONCE": "MAX_CONCURRENT_WEBHOOKS",
    "CONSOLE_SECONDS": "CONSOLE_INTERVAL_SECONDS",
    "CONSOLE_MOST": "MAX_CONSOLES",
    "CONFIRM_LEAVES": "VERIFY_LEAVES",
    "WHY_HOURS": "CHANGE_HISTORY_HOURS",
    "RECONCILE_SECONDS": "RECONCILE_INTERVAL_SECONDS",
    "STORM_MODE": "STORM_PROTECTION",
    "STORM_LEAST": "STORM_MIN_USERS",
    "STORM_HOLD": "STORM_DEBOUNCE_SECONDS",
    "COALESCE_SHORTEST": "BATCH_WINDOW_MIN_SECONDS",
    "STATUS_COUNT_INTERVAL": "STATUS_COUNT_INTERVAL_SECONDS",
    "STREAM_LIMIT": "MAX_STREAM_ENTRIES",
    "CALLS_AT_ONCE": "MAX_CONCURRENT_REQUESTS",
    "CALL_PATIENCE": "TARGET_LATENCY_SECONDS",
    "LAST_SEEN_ROUNDING": "LAST_SEEN_ROUNDING_SECONDS",
    "PRESENCE_SHARDS_ALSO": "PRESENCE_SHARDS_PREVIOUS",
    "PRESENCE_SHARD_LEVELS_ALSO": "PRESENCE_SHARD_LEVELS_PREVIOUS",
}
"""Names of before 1.0 and the present ones: a start with an old name is refused."""

FIXED: Mapping[str, str] = {
    "MAX_BODY_BYTES": "1048576",
    "MAX_HEADER_BYTES": "16384",
    "MAX_CONCURRENT_BODY_BYTES": "67108864",
    "MAX_QUEUED_REQUESTS": "250",
    "HEADER_TIMEOUT_SECONDS": "10.0",
    "BODY_TIMEOUT_SECONDS": "30.0",
    "JWT_LEEWAY_SECONDS": "10.0",
    "RATE_LIMIT_CONSOLE": "20/second",
    "RATE_LIMIT_ALL": "no limit",
    "NEO4J_DATABASE": "neo4j",
    "LOG_FORMAT": "json, and text on a terminal with ENVIRONMENT=development",
    "PUBNUB_USER": "friends-presence",
    "TOKEN_MINUTES": "60",
    "STORM_MIN_SHARE": "0.1",
    "STORM_DETECTION_SECONDS": "10.0",
    "STORM_BATCH_WINDOW_SECONDS": "3.0",
    "BATCH_WINDOW_MAX_SECONDS": "30.0",
    "PUBLISH_PIPELINE": "16",
    "PUBLISH_MAX_ATTEMPTS": "5",
    "PUBLISH_PER_SECOND": "no limit",
    "APP_CONTEXT_PER_SECOND": "50",
    "MAX_CONCURRENT_WEBHOOKS": "16 of every 100 MAX_CONCURRENT_REQUESTS",
    "CONSOLE_INTERVAL_SECONDS": "2.0",
    "MAX_CONSOLES": "20",
}
"""Settings of before 1.0 that are constants now, with their value: a start that sets one is refused."""

Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list, comma separated in the environment."""
Rate = Annotated[str, AfterValidator(_rate)]
Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The settings of the graph and its API."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    environment: Literal["development", "production"] = "production"
    """Production refuses unsafe settings by name. Choose development on a developer's machine only."""

    neo4j_uri: str = "bolt://127.0.0.1:7687"
    """Address of Neo4j. Use bolt+s:// or neo4j+s:// for TLS, neo4j:// for a cluster."""
    neo4j_user: str = "neo4j"
    """User of Neo4j. Change it where Neo4j has a separate user for the service."""
    neo4j_password: SecretStr = SecretStr("")
    """Password of that user. Production refuses well-known ones."""
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Address of Valkey or Redis, or of one node of a cluster; secret because it may contain a password. Use rediss:// for
    TLS."""

    host: str = "127.0.0.1"
    """Address to listen on. Use 0.0.0.0 in a container or behind a load balancer on another machine."""
    port: Port = 8080
    """Port to listen on. 0 takes a free one."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the port. Raise it to the number of CPU cores when one core is busy."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """Seconds after SIGTERM in which requests are still served while `/readyz` answers 503. Set it to what the load
    balancer needs to stop sending requests."""
    grace_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    """Seconds that requests and batches in progress may take to end at a stop. Keep DRAIN_SECONDS and GRACE_SECONDS
    together below the time after which the platform kills the process."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log lines that are written. Use debug for one line for each presence event and stage."""
    traces: str = ""
    """Name of the OpenTelemetry exporter that gets traces; empty for none. Set it to console or otlp_proto_http, and
    install the extra `otel`."""

    service_key: SecretStr | None = None
    """Key that service routes require in `X-Service-Key`; without one they are closed. Set it for a product's back
    end."""
    service_key_previous: SecretStr | None = None
    """Second key that is accepted. Set it to the old key while callers change to a new one."""
    console_key: SecretStr | None = None
    """Key that opens the operator console; without one it is closed. Set it for operators."""
    jwt_secret: SecretStr | None = None
    """HS256 key of the product's tokens. Set it, or JWT_JWKS_URL."""
    jwt_jwks_url: str | None = None
    """URL of the key set (JWKS) of the product's RS256 or ES256 tokens. Set it, or JWT_SECRET."""
    jwt_audience: str | None = None
    """Audience that a token must name. Production requires it."""
    jwt_issuer: str | None = None
    """Issuer that a token must name. Production requires it."""

    cors_origins: Words = ()
    """Origins whose pages may call the API, such as https://app.example.com; none by default. Set it where pages call
    the API from another origin."""
    trusted_proxies: Annotated[Words, AfterValidator(_networks)] = ()
    """Networks whose X-Forwarded-For is trusted; none by default. Set it behind a load balancer, or all callers share
    one address."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Open connections of one process; further ones get 503 and are closed. Keep it below the limit of open files."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Requests of one kind (users, back end, suggestions, sessions, console) that one process serves at once; a share of
    it, 16 of 100, is the limit of webhook calls. Raise it where CPU and graph have room and requests are rejected."""
    target_latency_seconds: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    """Seconds that a request should take, and may wait for a slot. While requests take longer, fewer are served at once.
    Raise it where slow responses are better than 503."""

    rate_limit_user: Rate = "100/second"
    """Requests of one user, over all processes; empty for no limit. Lower it where one user can harm others."""
    rate_limit_address: Rate = "20/second"
    """Requests without a valid token or key from one address; users behind one address do not share it. Raise it for load
    tests from one machine."""
    rate_limit_service: Rate = ""
    """Requests with the service key; empty for no limit, since imports use it. Set it to bound the back end."""
    rate_limit_when_down: Literal["local", "refuse"] = "local"
    """What happens without Valkey: each process counts alone (local), or the API answers 503 (refuse). Choose refuse where
    a limit must hold exactly."""

    friend_limit: Positive = 10_000
    """Friends of one user. Lower it to what the product allows: long lists cost memory and messages."""
    pending_limit: Positive = 1_000
    """Pending friend requests of one user, per direction. Lower it against spam."""

    last_seen_rounding_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Seconds to which `lastSeen` is rounded down for friends and the product; 0 for not at all. Set it, for example to
    3600, where exact times say too much about a user. A user's own export stays exact."""

    partitions: Annotated[int, Field(ge=1, le=1024)] = 20
    """Sets of users that one bridge owns at a time. Choose it before the first start: it is fixed for the life of a
    deployment, and bounds the number of bridges."""
    presence_shards: Annotated[int, Field(ge=1, le=65536)] = 100
    """Presence channels; a multiple of PARTITIONS. Raise it where a shard has more users than PubNub counts well."""
    presence_shard_levels: Annotated[int, Field(ge=1, le=2)] = 1
    """Levels of the channel names: 2 writes `presence.shard-{a}.{b}`, so that one wildcard rule covers many shards. Use 2
    above a million users."""
    presence_shards_previous: Annotated[int, Field(ge=0, le=65536)] = 0
    """Second number of shards that is listened to; 0 for none. Set it to the other number while PRESENCE_SHARDS
    changes."""
    presence_shard_levels_previous: Annotated[int, Field(ge=1, le=2)] = 1
    """Levels that belong to PRESENCE_SHARDS_PREVIOUS. Set it while PRESENCE_SHARD_LEVELS changes."""

    @property
    def log_format(self) -> Literal["json", "console"]:
        """JSON lines, or coloured text on a developer's terminal."""
        return "console" if self.environment == "development" and sys.stderr.isatty() else "json"

    def shard_map(self) -> ShardMap:
        """How users are distributed over presence channels, with the previous map while the number changes."""
        number, levels = self.presence_shards_previous, self.presence_shard_levels_previous
        previous = ShardMap(self.partitions, number, levels) if number else None
        return ShardMap(self.partitions, self.presence_shards, self.presence_shard_levels, previous)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments come first, then the environment, then the files it names. No .env files."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Checks between settings; each message names them."""
        if self.presence_shards % self.partitions:
            raise ValueError(
                f"PRESENCE_SHARDS ({self.presence_shards}) must be a multiple of PARTITIONS ({self.partitions})"
            )
        if self.presence_shards_previous % self.partitions:
            raise ValueError(
                f"PRESENCE_SHARDS_PREVIOUS ({self.presence_shards_previous}) must be a multiple of "
                f"PARTITIONS ({self.partitions})"
            )
        if self.jwt_secret and self.jwt_jwks_url:
            raise ValueError("JWT_SECRET and JWT_JWKS_URL exclude each other: set only one")
        if self.service_key_previous and not self.service_key:
            raise ValueError("SERVICE_KEY_PREVIOUS needs SERVICE_KEY, the key that follows it")
        if self.environment == "production" and (unsafe := unsafe_options(self)):
            raise ValueError(
                "; ".join(unsafe) + ". ENVIRONMENT=development allows it on a developer's machine"
            )
        return self


class SecretFiles(PydanticBaseSettingsSource):
    """Reads ``NAME_FILE`` for every secret setting ``NAME``; one trailing newline is not part of the secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The secret's text if its file is named, else None."""
        option = field_name.upper()
        path = os.environ.get(f"{option}_FILE")
        if not path or "SecretStr" not in str(field.annotation):
            return None, field_name, False
        if os.environ.get(option):
            raise SetupError(what=f"{option} and {option}_FILE are both set", todo="Set only one of them")
        try:
            return Path(path).read_text(encoding="utf-8").removesuffix("\n"), field_name, False
        except OSError as error:
            raise SetupError(
                what=f"{option}_FILE: {path} cannot be read ({error.strerror})", todo="Name a readable file"
            ) from error

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def unsafe_options(settings: Settings) -> list[str]:
    """Settings that production refuses; each text begins with the name."""
    secrets = {
        "JWT_SECRET": settings.jwt_secret,
        "SERVICE_KEY": settings.service_key,
        "SERVICE_KEY_PREVIOUS": settings.service_key_previous,
        "CONSOLE_KEY": settings.console_key,
    }
    found = short_secrets(secrets)
    if settings.neo4j_password.get_secret_value().lower() in KNOWN_PASSWORDS:
        found.append("NEO4J_PASSWORD must not be one that everybody knows")
    if "*" in settings.cors_origins:
        found.append("CORS_ORIGINS must name origins, not *")
    if (settings.jwt_jwks_url or "https://").startswith("http://"):
        found.append("JWT_JWKS_URL must be https")
    if any(ipaddress.ip_network(proxy).prefixlen == 0 for proxy in settings.trusted_proxies):
        found.append("TRUSTED_PROXIES must not be everybody")
    return found


def short_secrets(secrets: Mapping[str, SecretStr | None]) -> list[str]:
    """Which of these are set and too short to be safe; each text begins with the name."""
    return [
        f"{name} must have at least {MIN_SECRET_CHARACTERS} characters"
        for name, secret in secrets.items()
        if secret and len(secret.get_secret_value()) < MIN_SECRET_CHARACTERS
    ]


def missing_to_serve(settings: Settings) -> list[str]:
    """Settings that an API needs and does not have; each text begins with the name."""
    found = []
    if not (settings.jwt_secret or settings.jwt_jwks_url):
        found.append("JWT_SECRET or JWT_JWKS_URL must be set, or no user could call the API")
    if settings.environment == "production":
        wanted = {"JWT_AUDIENCE": settings.jwt_audience, "JWT_ISSUER": settings.jwt_issuer}
        found += [
            f"{name} must be set, or tokens made for others would be accepted"
            for name, v in wanted.items()
            if not v
        ]
        if not settings.neo4j_password.get_secret_value():
            found.append("NEO4J_PASSWORD must be set")
    return found


Options = TypeVar("Options", bound=Settings)


@overload
def load(**values: Any) -> Settings: ...
@overload
def load(kind: type[Options], **values: Any) -> Options: ...
def load(kind: type[Settings] = Settings, **values: Any) -> Settings:
    """Read the settings of `kind`; `values` override the environment.

    Raises `SetupError`, which names every wrong setting.
    """
    refuse_old_names(os.environ)
    try:
        return kind(**values)
    except ValidationError as error:
        wrong = "; ".join(_described(one["loc"], one["msg"]) for one in error.errors(include_input=False))
        raise SetupError(what=wrong, todo="Correct the setting and start again") from None


def refuse_old_names(environ: Mapping[str, str]) -> None:
    """Raise `SetupError` if a name of before 1.0 is set: it would silently have no effect."""
    given = {name.upper() for name in environ}  # settings are read whatever their case
    is_set = [name for name in (*RENAMED, *FIXED) if given & {name, f"{name}_FILE"}]
    if is_set:
        what = "; ".join(map(_what_became_of, is_set))
        raise SetupError(what=what, todo="Use the new name, remove what is fixed, and start again")


def _what_became_of(name: str) -> str:
    if name not in RENAMED:
        return f"{name} is fixed now: {FIXED[name]}"
    new = RENAMED[name]
    return f"{name} is now {new}" + (f", which is fixed: {FIXED[new]}" if new in FIXED else "")


def check_serving(settings: Settings) -> None:
    """Raise `SetupError` unless an API can be served with these settings."""
    if missing := missing_to_serve(settings):
        raise SetupError(what="; ".join(missing), todo="Set it and start again")


def _described(where: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{str(where[0]).upper()}: {text}" if where else text
