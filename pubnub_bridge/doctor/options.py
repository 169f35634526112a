"""Checks of the settings: what is missing, and what production must not use. Pure."""

from __future__ import annotations

from graph_service.settings import missing_to_serve, unsafe_options
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.settings import Settings

AREA = Area("options")
DEMO_KEYS = frozenset({"demo", "demo-36"})
"""Public keys of PubNub for demos."""


def check(settings: Settings) -> list[Finding]:
    """All findings, the environment first."""
    production = settings.environment == "production"
    report = AREA.failure if production else AREA.warning
    found = [_environment(production)]
    found += [report("secrets", text, "Set a longer random value") for text in unsafe_options(settings)]
    found += [AREA.failure("complete", text, "Set it and start again") for text in missing_to_serve(settings)]
    if settings.demo_login:
        found.append(
            report(
                "demo login",
                "any visitor can sign in as any user",
                "DEMO_LOGIN=false outside of a demonstration",
            )
        )
    if not settings.access_manager:
        found.append(
            report(
                "tokens",
                "ACCESS_MANAGER=false: the subscribe key is enough to read every inbox",
                "Switch on Access Manager for the keyset in PubNub's Admin Portal, then ACCESS_MANAGER=true",
            )
        )
    if not settings.pubnub_tls:
        found.append(
            report(
                "TLS", "PubNub is called without TLS", "PUBNUB_TLS=true, unless the origin is this machine"
            )
        )
    if {settings.pubnub_subscribe_key, settings.pubnub_publish_key} & DEMO_KEYS:
        found.append(report("keys", "public demo keys", "Set the keys of your own keyset"))
    return [*found, *_secrets(settings)]


def _environment(production: bool) -> Finding:
    if production:
        return AREA.fine("environment", "production: unsafe options are refused at the start")
    return AREA.warning(
        "environment", "development: unsafe options are allowed", "ENVIRONMENT=production for real users"
    )


def _secrets(settings: Settings) -> list[Finding]:
    """Routes that are closed without their secret, which can be intended."""
    secrets = {
        "SERVICE_KEY": (settings.service_key, "the routes of the product's back end"),
        "WEBHOOK_SECRET": (
            settings.webhook_secret,
            "the webhook of Events & Actions (we subscribe, so it may stay closed)",
        ),
        "CONSOLE_KEY": (settings.console_key, "the operator console"),
    }
    return [
        AREA.fine(name, f"{what}: {'open with this secret' if secret else 'closed, since it is not set'}")
        for name, (secret, what) in secrets.items()
    ]
