"""Structured logging on stderr, with secrets redacted: JSON lines, or coloured text on a terminal.

Records of libraries that use the standard `logging` are rendered the same way. Values under names of secrets, tokens,
and passwords in URLs are replaced before anything is written.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import stamina
import structlog

SECRET_NAMES = re.compile(
    r"pass(word)?$|secret|token|authorization|cookie|api_?key|service_key|console_key|^auth$", re.IGNORECASE
)
TOKEN = re.compile(r"eyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*")
CREDENTIALS = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
SECRET_PARAMETER = re.compile(r"(?i)\b(auth|token|signature|secret|password)=[^&\s\"']+")
REDACTED = "[hidden]"
LIBRARIES = ("neo4j", "pubnub", "aiohttp", "redis", "asyncio", "limits", "botocore", "urllib3")
"""At debug level they log what they send, users' names included; LOG_LEVEL=debug applies to our own lines only."""

Event = MutableMapping[str, Any]


def scrub(_logger: object, _method: str, event: Event) -> Event:
    """A structlog processor that redacts secrets."""
    return {
        name: REDACTED if SECRET_NAMES.search(name) and value else redact(value)
        for name, value in event.items()
    }


def redact(value: object) -> object:
    """The value without tokens, passwords in URLs and secret query parameters, nested ones included."""
    if isinstance(value, str):
        text = CREDENTIALS.sub(rf"\1:{REDACTED}@", value) if "@" in value else value
        text = TOKEN.sub(REDACTED, text) if "eyJ" in text else text
        return SECRET_PARAMETER.sub(rf"\1={REDACTED}", text) if "=" in text else text
    if isinstance(value, dict):
        return scrub(None, "", value)
    if isinstance(value, list | tuple):
        return [redact(one) for one in value]
    return value


def setup(level: str = "info", style: str = "json") -> None:
    """Send every log line of this process to stderr in one style ('json' or 'console')."""
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    after: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        scrub,
        _renderer(style),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(root.level, logging.INFO))
    for chatty in ("aiohttp.access", "neo4j.notifications", "apscheduler.executors.default"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # stamina's own line for each retry contains the arguments of the call; ours names the operation and the reason.
    stamina.instrumentation.set_on_retry_hooks([])
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _renderer(style: str) -> structlog.typing.Processor:
    if style == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer()
