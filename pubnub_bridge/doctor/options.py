"""The doctor's look at the options: what is missing, and what must not be so in production. Pure."""

from __future__ import annotations

from graph_service.settings import missing_to_serve, unsafe_options
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.settings import Settings

AREA = Area("options")
DEMO_KEYS = frozenset({"demo", "demo-36"})
"""Keys that PubNub publishes for everybody to try."""


def look(settings: Settings) -> list[Finding]:
    """All findings, the environment first."""
    production = settings.environment == "production"
    told = AREA.failure if production else AREA.warning
    found = [_environment(production)]
    found += [told("secrets", text, "Set a longer random value") for text in unsafe_options(settings)]
    found += [AREA.failure("complete", text, "Set it and start again") for text in missing_to_serve(settings)]
    if settings.demo_login:
        found.append(
            told("demo login", "anybody may sign in as anybody", "DEMO_LOGIN=off outside of a demonstration")
        )
    if not settings.access_manager:
        found.append(
            told(
                "tokens",
                "ACCESS_MANAGER=off: whoever knows the subscribe key reads every inbox",
                "Switch on Access Manager for the keyset in PubNub's Admin Portal, then ACCESS_MANAGER=on",
            )
        )
    if not settings.pubnub_tls:
        found.append(
            told("TLS", "PubNub is called without TLS", "PUBNUB_TLS=true, unless it is this machine")
        )
    if {settings.pubnub_subscribe_key, settings.pubnub_publish_key} & DEMO_KEYS:
        found.append(told("keys", "keys that everybody knows", "Set the keys of a keyset of your own"))
    return [*found, *_doors(settings)]


def _environment(production: bool) -> Finding:
    if production:
        return AREA.fine("environment", "production: unsafe options are refused at the start")
    return AREA.warning(
        "environment", "development: unsafe options are allowed", "ENVIRONMENT=production where people use it"
    )


def _doors(settings: Settings) -> list[Finding]:
    """Routes that are closed for want of a secret; each may be meant."""
    doors = {
        "SERVICE_KEY": (settings.service_key, "the routes of the product's back end"),
        "WEBHOOK_SECRET": (
            settings.webhook_secret,
            "the webhook of Events & Actions (we subscribe, so it may stay closed)",
        ),
        "CONSOLE_KEY": (settings.console_key, "the operator console"),
    }
    return [
        AREA.fine(
            name, f"{what} {'is open with this secret' if secret else 'is closed, since it is not set'}"
        )
        for name, (secret, what) in doors.items()
    ]
