"""OpenTelemetry traces (the extra `otel`), off by default; the only module that imports OpenTelemetry.

A span is named by a pipeline stage or a route's template, never by a path, so no span name contains a user id. While
tracing is off, `span` costs one comparison and OpenTelemetry is not even imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from typing import Any

from graph_service.errors import SetupError

EXPORTERS = "opentelemetry_traces_exporter"
"""The entry point group in which OpenTelemetry's exporters register, `console` among them."""
_NO_SPAN: AbstractContextManager[Any] = nullcontext()
_state: dict[str, Any] = {}


class NoTracing(SetupError):
    """TRACES={wanted} cannot be had: {reason}. Install friends-presence[otel] and the exporter, such as opentelemetry-exporter-otlp-proto-http, or leave TRACES empty"""

    code = "no_tracing"


def setup(wanted: str) -> None:
    """Send spans to the exporter of this name, as OTEL_* variables say; trace nothing where it is empty.

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
    """Trace with this provider from now on; None turns tracing off."""
    _state["tracer"] = provider.get_tracer("friends-presence") if provider is not None else None


def on() -> bool:
    """Whether tracing is on: check it before computing expensive attributes."""
    return _state.get("tracer") is not None


def span(name: str, **attributes: Any) -> AbstractContextManager[Any]:
    """A span for a with block, a child of this task's current one; it records an error in the block."""
    tracer = _state.get("tracer")
    if tracer is None:
        return _NO_SPAN
    found: AbstractContextManager[Any] = tracer.start_as_current_span(name, attributes=attributes)
    return found


def serving(headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """The span of an HTTP request, in the caller's trace where a traceparent header names one."""
    tracer = _state.get("tracer")
    if tracer is None:
        return _NO_SPAN
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    found: AbstractContextManager[Any] = tracer.start_as_current_span(
        "HTTP", context=extract(headers), kind=SpanKind.SERVER
    )
    return found


def served(request_span: Any, method: str, route: str, status: int) -> None:
    """Name the span of a request by its route, and record its status."""
    if request_span is None:
        return
    from opentelemetry.trace import StatusCode

    request_span.update_name(f"{method} {route}")
    request_span.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    if status >= 500:
        request_span.set_status(StatusCode.ERROR)
