"""Every option of the graph service: its name, default and limits. Knows no engine; reads the environment once.

Options are environment variables without a prefix, named as the fields below in capitals. A secret may instead be
named by file: ``JWT_SECRET_FILE=/run/secrets/jwt``. The object is frozen, made once by `load` and handed down.
The bridge's options extend this class.
"""

from __future__ import annotations

import ipaddress
import os
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
"""What Neo4j and examples everywhere begin with."""


def _split(given: object) -> object:
    return (
        tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given
    )


def _rate(given: str) -> str:
    """A rate of the `limits` library, such as '100/second', or empty for none."""
    if given:
        limits.parse(given)
    return given


def _network(given: tuple[str, ...]) -> tuple[str, ...]:
    for one in given:
        ipaddress.ip_network(one)
    return given


RENAMED: Mapping[str, str] = {
    "HOLD_ONLINE": "DEBOUNCE_ONLINE_SECONDS",
    "HOLD_LEAVE": "DEBOUNCE_LEAVE_SECONDS",
    "HOLD_TIMEOUT": "DEBOUNCE_TIMEOUT_SECONDS",
    "CONFIRM_LEAVES": "VERIFY_LEAVES",
    "RECONCILE_SECONDS": "RECONCILE_INTERVAL_SECONDS",
    "STORM_MODE": "STORM_PROTECTION",
    "STORM_SHARE": "STORM_MIN_SHARE",
    "STORM_LEAST": "STORM_MIN_USERS",
    "STORM_SPAN": "STORM_DETECTION_SECONDS",
    "STORM_HOLD": "STORM_DEBOUNCE_SECONDS",
    "STORM_WINDOW": "STORM_BATCH_WINDOW_SECONDS",
    "COALESCE_SHORTEST": "BATCH_WINDOW_MIN_SECONDS",
    "COALESCE_LONGEST": "BATCH_WINDOW_MAX_SECONDS",
    "PUBLISH_RETRY_TIMES": "PUBLISH_MAX_ATTEMPTS",
    "STATUS_COUNT_INTERVAL": "STATUS_COUNT_INTERVAL_SECONDS",
    "WHY_HOURS": "CHANGE_HISTORY_HOURS",
    "WEBHOOKS_AT_ONCE": "MAX_CONCURRENT_WEBHOOKS",
    "STREAM_LIMIT": "MAX_STREAM_ENTRIES",
    "CONSOLE_SECONDS": "CONSOLE_INTERVAL_SECONDS",
    "CONSOLE_MOST": "MAX_CONSOLES",
    "CALLS_AT_ONCE": "MAX_CONCURRENT_REQUESTS",
    "CALLS_WAITING": "MAX_QUEUED_REQUESTS",
    "CALL_PATIENCE": "TARGET_LATENCY_SECONDS",
    "BODY_BYTES_AT_ONCE": "MAX_CONCURRENT_BODY_BYTES",
    "JWT_LEEWAY": "JWT_LEEWAY_SECONDS",
    "LAST_SEEN_ROUNDING": "LAST_SEEN_ROUNDING_SECONDS",
    "PRESENCE_SHARDS_ALSO": "PRESENCE_SHARDS_PREVIOUS",
    "PRESENCE_SHARD_LEVELS_ALSO": "PRESENCE_SHARD_LEVELS_PREVIOUS",
    "HEADER_SECONDS": "HEADER_TIMEOUT_SECONDS",
    "BODY_SECONDS": "BODY_TIMEOUT_SECONDS",
}
"""Names of before 1.0, each with the one it has now: a process that is given one refuses to start."""

Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list, comma separated in the environment."""
Rate = Annotated[str, AfterValidator(_rate)]
Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The options of the graph and its API."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    environment: Literal["development", "production"] = "production"
    """Production refuses unsafe options by name; development must be asked for."""

    neo4j_uri: str = "bolt://127.0.0.1:7687"
    neo4j_user: str = "neo4j"
    neo4j_password: SecretStr = SecretStr("")
    neo4j_database: str = "neo4j"
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Valkey or Redis. Secret because it may hold a password."""

    host: str = "127.0.0.1"
    """Only this machine unless told otherwise."""
    port: Port = 8080
    """0 takes a free one."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the port."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """How long to answer, unready, after SIGTERM: what a load balancer needs to look elsewhere."""
    grace_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    """How long running calls may take to end at a stop."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    traces: str = ""
    """Where traces go, by an OpenTelemetry exporter's name, such as console or otlp_proto_http; nowhere when empty."""

    service_key: SecretStr | None = None
    """What service routes want in X-Service-Key; without one they are closed."""
    service_key_previous: SecretStr | None = None
    """Still accepted while callers change to a new key."""
    console_key: SecretStr | None = None
    """Opens the operator console; without one it is closed."""
    jwt_secret: SecretStr | None = None
    """HS256 key of the products' tokens."""
    jwt_jwks_url: str | None = None
    """Where the RS256 or ES256 keys of the products' tokens are published."""
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    jwt_leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    """Clock skew allowed between the issuer and us, in seconds."""

    cors_origins: Words = ()
    """Origins whose pages may call the API, such as https://app.example.com; none by default."""
    trusted_proxies: Annotated[Words, AfterValidator(_network)] = ()
    """Networks whose X-Forwarded-For is believed; none by default."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 2**20
    """1 MiB: a batch of 1,000 pairs of the longest ids is about 250 KB."""
    max_header_bytes: Annotated[int, Field(ge=1024, le=64 * 2**10)] = 16 * 2**10
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Open connections of one process; more are told to come back (503) and closed."""
    header_timeout_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """How long a request line and its headers may take to arrive; then the connection is cut."""
    body_timeout_seconds: Annotated[float, Field(ge=0.1, le=300)] = 30.0
    """The same for a body, counted from its call's admission, and for a client to take what it is sent."""

    max_concurrent_requests: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Calls under way in one process, so that these are answered in time. Users' calls, the back end's, suggestions,
    sessions and the console have as many places each, so none starves another."""
    max_queued_requests: Annotated[int, Field(ge=0, le=10_000)] = 250
    """Calls that wait for one of these places, for TARGET_LATENCY_SECONDS at most; more are sent away at once with 503."""
    target_latency_seconds: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    """Seconds a call should take: while calls take longer, fewer are let in at once, and fewer wait."""
    max_concurrent_body_bytes: Annotated[int, Field(ge=2**20, le=64 * 2**30)] = 64 * 2**20
    """Bytes of bodies held at once in one process, for the API and for webhooks each."""

    rate_limit_user: Rate = "100/second"
    """Calls of one user, over all processes; empty for no limit."""
    rate_limit_address: Rate = "20/second"
    """Calls of one address that carry no valid token or key. Users behind one address do not share it."""
    rate_limit_all: Rate = ""
    """All calls that carry a valid token or key together; no limit by default, since MAX_CONCURRENT_REQUESTS bounds them."""
    rate_limit_service: Rate = ""
    """Calls with the service key; no limit by default, since imports run on it."""
    rate_limit_console: Rate = "20/second"
    """Calls with the console's key, all operators together."""
    rate_limit_when_down: Literal["local", "refuse"] = "local"
    """Without Valkey every process counts for itself (local), or the API answers 503 (refuse)."""

    friend_limit: Positive = 10_000
    """Friends of one user."""
    pending_limit: Positive = 1_000
    """Requests of one user that wait for an answer, per direction."""

    last_seen_rounding_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Seconds to which `lastSeen` is rounded down in whatever friends and the product are told, such as 3600; 0 for not
    at all. A user's own export stays exact."""

    partitions: Annotated[int, Field(ge=1, le=1024)] = 20
    """Sets of users owned by one bridge each; fixed for the life of a deployment."""
    presence_shards: Annotated[int, Field(ge=1, le=65536)] = 100
    """Presence channels; a multiple of PARTITIONS."""
    presence_shard_levels: Annotated[int, Field(ge=1, le=2)] = 1
    presence_shards_previous: Annotated[int, Field(ge=0, le=65536)] = 0
    """While PRESENCE_SHARDS changes: the other number, which is listened to as well; 0 for none."""
    presence_shard_levels_previous: Annotated[int, Field(ge=1, le=2)] = 1

    def shard_map(self) -> ShardMap:
        """How users spread over presence channels, the other map included while the number changes."""
        number, levels = self.presence_shards_previous, self.presence_shard_levels_previous
        also = ShardMap(self.partitions, number, levels) if number else None
        return ShardMap(self.partitions, self.presence_shards, self.presence_shard_levels, also)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then the environment, then the files it names. No .env files."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Relations between options, each told by name."""
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
    """Reads ``NAME_FILE`` for every secret option ``NAME``; one trailing newline is not part of the secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The secret's text when its file is named, else None."""
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
        """Every secret that a file was named for."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def unsafe_options(settings: Settings) -> list[str]:
    """What is set and must not be in production, each beginning with the option's name."""
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
    """Which of these are set and too short to be safe, each beginning with the option's name."""
    return [
        f"{name} must have at least {MIN_SECRET_CHARACTERS} characters"
        for name, secret in secrets.items()
        if secret and len(secret.get_secret_value()) < MIN_SECRET_CHARACTERS
    ]


def missing_to_serve(settings: Settings) -> list[str]:
    """What an API cannot do without, each beginning with the option's name."""
    found = []
    if not (settings.jwt_secret or settings.jwt_jwks_url):
        found.append("JWT_SECRET or JWT_JWKS_URL must be set: nobody could call the API")
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
def load(**given: Any) -> Settings: ...
@overload
def load(kind: type[Options], **given: Any) -> Options: ...
def load(kind: type[Settings] = Settings, **given: Any) -> Settings:
    """Read the options of `kind`; `given` comes before the environment.

    Raises `SetupError`, which names every option that is wrong.
    """
    refuse_old_names(os.environ)
    try:
        return kind(**given)
    except ValidationError as error:
        wrong = "; ".join(_told(one["loc"], one["msg"]) for one in error.errors(include_input=False))
        raise SetupError(what=wrong, todo="Correct the option and start again") from None


def refuse_old_names(environ: Mapping[str, str]) -> None:
    """Raise `SetupError` where an option is given by a name of before 1.0: in silence it would have no effect."""
    found = [
        f"{old} is now {new}" for old, new in RENAMED.items() if old in environ or f"{old}_FILE" in environ
    ]
    if found:
        raise SetupError(what="; ".join(found), todo="Use the new name and start again")


def check_serving(settings: Settings) -> None:
    """Raise `SetupError` unless an API can be served with these options."""
    if missing := missing_to_serve(settings):
        raise SetupError(what="; ".join(missing), todo="Set the option and start again")


def _told(where: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{str(where[0]).upper()}: {text}" if where else text
