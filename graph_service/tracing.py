"""Traces, for whoever wants them, and the only file that knows OpenTelemetry (the extra `otel`). Off by default.

A span's name is a row of the walk or a route's template, never a path, so ids of people reach no span's name. Where
nobody traces, `span` costs one comparison; OpenTelemetry is not even imported then.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from typing import Any

from graph_service.errors import SetupError

EXPORTERS = "opentelemetry_traces_exporter"
"""The entry points by which OpenTelemetry's exporters make themselves known, `console` among them."""
_NOTHING: AbstractContextManager[Any] = nullcontext()
_state: dict[str, Any] = {}


class NoTracing(SetupError):
    """TRACES={wanted} cannot be had: {reason}. Install friends-presence[otel] and the exporter, such as opentelemetry-exporter-otlp-proto-http, or leave TRACES empty"""

    code = "no_tracing"


def setup(wanted: str) -> None:
    """Send spans to the exporter of this name, as OTEL_* variables say; to nobody where it is empty.

    Raises:
        NoTracing: OpenTelemetry or the exporter is not installed.
    """
    if not wanted:
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise NoTracing(wanted=wanted, reason=str(error)) from error
    found = next(iter(entry_points(group=EXPORTERS, name=wanted)), None)
    if found is None:
        raise NoTracing(wanted=wanted, reason="no exporter has this name")
    provider = TracerProvider(resource=Resource.create({"service.name": "friends-presence"}))
    provider.add_span_processor(BatchSpanProcessor(found.load()()))
    use(provider)


def use(provider: Any) -> None:
    """Trace with this provider from now on; None ends it."""
    _state["tracer"] = provider.get_tracer("friends-presence") if provider is not None else None


def on() -> bool:
    """Whether anybody traces: to be asked before attributes are computed that cost something."""
    return _state.get("tracer") is not None


def span(name: str, **attributes: Any) -> AbstractContextManager[Any]:
    """A span for a with block, inside the one that is open in this task; an error in the block is kept in it."""
    tracer = _state.get("tracer")
    if tracer is None:
        return _NOTHING
    found: AbstractContextManager[Any] = tracer.start_as_current_span(name, attributes=attributes)
    return found


def serving(headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """The span of an HTTP request, inside the caller's trace where a traceparent header names one."""
    tracer = _state.get("tracer")
    if tracer is None:
        return _NOTHING
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    found: AbstractContextManager[Any] = tracer.start_as_current_span(
        "HTTP", context=extract(headers), kind=SpanKind.SERVER
    )
    return found


def served(one: Any, method: str, route: str, status: int) -> None:
    """Name the span of a request by what was found out about it."""
    if one is None:
        return
    from opentelemetry.trace import StatusCode

    one.update_name(f"{method} {route}")
    one.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    if status >= 500:
        one.set_status(StatusCode.ERROR)
