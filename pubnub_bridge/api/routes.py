"""Routes that need PubNub: sessions, pushed syncs, visibility, why, and the presence webhook.

They join the graph service's own routes: `build_app(..., extra=TABLES)` and ``app[CONTEXT] = context``. A process that
serves the API alone leaves out `WEBHOOK`, since nothing in it would commit what the webhook accepts.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from graph_service.api.authentication import AUTHENTICATOR, SERVICE, USER, Anyone, Caller, Closed, same_key
from graph_service.api.concurrency_limits import SLOT, BodyTooSlow
from graph_service.api.problems import BodyTooLarge
from graph_service.api.routing import Scheme, TypedRoutes
from graph_service.api.schemas import RequestModel, ResponseModel
from graph_service.errors import BadInput, QueueUnavailable, RateLimited, Unauthorized, UserNotFound
from graph_service.model.ids import UserId
from pubnub_bridge import metrics
from pubnub_bridge.api import console
from pubnub_bridge.api.erasure_check import Traces, find_traces
from pubnub_bridge.api.explain import Why, WhyQuery, explain
from pubnub_bridge.errors import PubNubRefused, PubNubUnavailable
from pubnub_bridge.fanout.outbox_relay import set_visibility
from pubnub_bridge.ingest import webhook
from pubnub_bridge.ingest.subscriber import drop_wrong_shard
from pubnub_bridge.pubnub_api.tokens import STATUS_CHANNEL
from pubnub_bridge.runtime.context import CONTEXT
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys

__all__ = ("API_ONLY", "CONTEXT", "TABLES", "WEBHOOK")

MAX_WEBHOOK_BYTES = 16 * 2**20
"""10,000 items of about 500 bytes, three times over."""

session_routes = TypedRoutes("session", limiter="session")
presence_routes = TypedRoutes("presence")
webhook_routes = TypedRoutes("webhook", limiter="webhook")
WEBHOOK: tuple[TypedRoutes, ...] = (webhook_routes,)
API_ONLY: tuple[TypedRoutes, ...] = (session_routes, presence_routes, console.routes)
TABLES: tuple[TypedRoutes, ...] = (*API_ONLY, *WEBHOOK)


class WebhookRefused(Unauthorized):
    """The secret in X-Webhook-Secret is missing or wrong."""

    code = "webhook_refused"


class TooManyEvents(BadInput):
    """{field}: {reason}"""

    code = "too_many_events"
    status = 413


class Channels(ResponseModel):
    """What a client subscribes to."""

    inbox: str
    """Messages for this user."""
    presence: str
    """Subscribing to it is being online."""
    global_: Annotated[str, Field(serialization_alias="global")]
    """The number of users online."""


class Session(ResponseModel):
    """Everything a client needs to connect."""

    user_id: str
    publish_key: str
    subscribe_key: str
    origin: str
    tls: bool
    channels: Channels
    shard: int
    token: str | None = None
    """None where the keyset has no Access Manager."""
    expires_at: int | None = None
    """Unix seconds."""
    renew_at: int | None = None
    """Unix seconds: request another session from then on."""
    heartbeat: int
    """Seconds of the presence timeout; send heartbeats at half of it."""


class SyncRequested(ResponseModel):
    """The sync will be published to the inbox."""

    user_id: str


class VisibilityRequest(RequestModel):
    """Whether to appear offline."""

    invisible: bool


class Visibility(ResponseModel):
    """How friends see the caller now."""

    invisible: bool
    changed: bool


class Accepted(ResponseModel):
    """How many events of a webhook call were accepted."""

    accepted: int
    ignored: int


@session_routes.post(
    "/v1/session",
    auth=USER,
    summary="Everything a client needs to connect",
    problems=(UserNotFound, PubNubUnavailable, PubNubRefused),
)
async def session(request: web.Request, caller: Caller) -> Session:
    """Keys, channels and a token that allows exactly these channels; request another when `renewAt` is reached."""
    context, settings = request.app[CONTEXT], request.app[CONTEXT].settings
    if not await context.flags.exists(caller.id):
        raise UserNotFound(id=caller.id)
    token = await context.tokens.client_token(caller.id, context.shards)
    shard = context.shards.shard(caller.id)
    return Session(
        user_id=caller.id,
        publish_key=settings.pubnub_publish_key,
        subscribe_key=settings.pubnub_subscribe_key,
        origin=settings.pubnub_origin,
        tls=settings.pubnub_tls,
        channels=Channels(
            inbox=f"inbox.{caller.id}", presence=context.shards.channel(shard), global_=STATUS_CHANNEL
        ),
        shard=shard,
        token=token.token if token else None,
        expires_at=token.expires_at if token else None,
        renew_at=token.renew_at if token else None,
        heartbeat=settings.heartbeat_seconds,
    )


@presence_routes.post("/v1/sync", auth=USER, summary="Have friends.sync pushed to your inbox")
async def push_sync(request: web.Request, caller: Caller) -> SyncRequested:
    """After every connect, and whenever messages may have been missed; at most one a second is sent."""
    context = request.app[CONTEXT]
    await context.backpressure.check([keys.inbox(context.shards.partition(caller.id))])
    await context.inbox_streams.ask(caller.id)
    return SyncRequested(user_id=caller.id)


@presence_routes.put(
    "/v1/me/visibility", auth=USER, summary="Appear offline, or not", problems=(UserNotFound,)
)
async def visibility(request: web.Request, caller: Caller, body: VisibilityRequest) -> Visibility:
    """Friends see an ordinary offline; you still see them."""
    context = request.app[CONTEXT]
    changed = await set_visibility(context.flags, context.backends.valkey, caller.id, body.invisible)
    return Visibility(invisible=body.invisible, changed=changed)


@presence_routes.get(
    "/v1/why",
    auth=SERVICE,
    summary="Why a viewer sees what they see",
    problems=(UserNotFound,),
    limiter="service",
)
async def why(request: web.Request, query: WhyQuery) -> Why:
    """The edge, the block, the flag, what PubNub says, and the last committed changes of the friend."""
    return await explain(request.app[CONTEXT], query.viewer, query.friend)


@presence_routes.get(
    "/v1/users/{id}/traces", auth=SERVICE, summary="Where a user is still named", limiter="service"
)
async def user_traces(request: web.Request, id_: UserId) -> Traces:
    """The proof of an erase: repeat until it is clean. Notifications for friends stay in the streams for moments."""
    return await find_traces(request.app[CONTEXT], id_)


async def _by_secret(request: web.Request) -> Anyone:
    """Authenticate the keyset's webhooks by their secret header, compared in constant time."""
    settings: Settings = request.app[CONTEXT].settings
    if settings.webhook_secret is None:
        raise Closed(option="WEBHOOK_SECRET")
    secrets = (settings.webhook_secret, settings.webhook_secret_previous)
    accepted = [one.get_secret_value() for one in secrets if one]
    if not same_key(request.headers.get("X-Webhook-Secret"), accepted):
        await request.app[AUTHENTICATOR].refuse(request, WebhookRefused())
    return Anyone()


WEBHOOK_SCHEME = Scheme(
    name="webhook",
    security={
        "type": "apiKey",
        "in": "header",
        "name": "X-Webhook-Secret",
        "description": "The secret that Events & Actions sends.",
    },
    caller=Anyone,
    authenticate=_by_secret,
    problems=(WebhookRefused, Closed, RateLimited),
)


@webhook_routes.post(
    "/webhooks/presence",
    auth=WEBHOOK_SCHEME,
    summary="Presence events by PubNub Events & Actions",
    problems=(QueueUnavailable, TooManyEvents, BodyTooLarge, BodyTooSlow, BadInput),
)
async def presence_webhook(request: web.Request) -> Accepted:
    """Accepted only once the events are in the presence log; after 503 PubNub sends them again."""
    context = request.app[CONTEXT]
    body = await _json(request)
    parsed = drop_wrong_shard(
        webhook.parse_webhook(body, context.shards, context.clock.now()), context.shards
    )
    if len(parsed.events) > webhook.MAX_BATCH:
        raise TooManyEvents(field="data", reason=f"more than {webhook.MAX_BATCH} events in one call")
    if parsed.events:
        await context.backpressure.check(
            [
                keys.presence_log(one)
                for one in {context.shards.partition(event.user) for event in parsed.events}
            ]
        )
        await context.presence_log.append(parsed.events)
        metrics.PRESENCE_EVENTS.labels("webhook").inc(len(parsed.events))
    return Accepted(accepted=len(parsed.events), ignored=len(parsed.unknown))


async def _json(request: web.Request) -> Any:
    """With a larger limit than other requests have."""
    body = await request[SLOT].read_body(request, MAX_WEBHOOK_BYTES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(field="body", reason="is not JSON") from error
