"""Traces: spans of the pipeline's stages and of HTTP requests, by OpenTelemetry's in-memory exporter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graph_service import tracing
from tests.e2e.bridge.conftest import World, eventually

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Traces everything to memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


def inside(found: Sequence[ReadableSpan], outer: ReadableSpan) -> set[str]:
    """The names of the spans directly within a span."""
    return {
        one.name for one in found if one.parent is not None and one.parent.span_id == outer.context.span_id
    }


def with_event(found: tuple[ReadableSpan, ...], name: str, event_id: str) -> list[ReadableSpan]:
    """Spans of a name that carry an event."""
    return [
        one
        for one in found
        if one.name == name and event_id in ((one.attributes or {}).get("event_ids") or ())
    ]


async def test_a_change_can_be_traced_from_the_poll_to_the_publish(
    world: World, spans: InMemorySpanExporter
) -> None:
    """Each stage is a span; the queries of commit and read lie within the span of the batch."""
    await world.create_friends("ann", "bob")
    await world.call("PUT", "/v1/users/ann", json={"name": "Ann"}, headers={"traceparent": CALLER})
    (ann,) = await world.online("ann")
    world.device("bob").appear()
    event = await ann.receives(lambda m: m["type"] == "friend.online")

    async def published() -> bool:
        ended = spans.get_finished_spans()
        return all(with_event(ended, name, event["eventId"]) for name in ("commit", "enqueue", "publish"))

    await eventually(published)
    found = spans.get_finished_spans()
    (commit,), (enqueue,) = (with_event(found, name, event["eventId"]) for name in ("commit", "enqueue"))
    assert {"graph write_flags", "graph read_online_friends"} <= inside(found, commit)
    assert "append notifications" in inside(found, enqueue)
    receive = {one.context.span_id for one in found if one.name == "receive"}
    assert any(one.name == "accept" and one.parent and one.parent.span_id in receive for one in found)
    (request,) = [one for one in found if one.name == "PUT /v1/users/{id}"]
    assert request.parent is not None
    assert f"{request.context.trace_id:032x}" == CALLER.split("-")[1]
    assert (request.attributes or {})["http.response.status_code"] == 200
    assert not any("ann" in one.name or "bob" in one.name for one in found)


def test_tracing_is_off_by_default_and_a_missing_exporter_is_named() -> None:
    """Nothing is set up for an empty name, and a name that no exporter has stops the start."""
    tracing.setup("")
    assert not tracing.on()
    with tracing.span("nothing", of=1) as one:
        assert one is None
    with pytest.raises(tracing.NoTracing, match="TRACES=nowhere"):
        tracing.setup("nowhere")
