"""Route a request by the raw, still encoded segments of its path.

Paths are matched undecoded because `,` separates channel names while `%2C` is part of one. A pattern is made of fixed
segments, `{name}` (one segment that is not empty), `{:a|b}` (one of these words) and a last `{name:*}` (all that
follows).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Names = dict[str, str]


class _Node:
    __slots__ = ("any", "fixed", "handlers", "rest")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.rest: _Node | None = None
        self.handlers: dict[str, tuple[Handler, tuple[str, ...]]] = {}


class NoRoute(LookupError):
    """No handler has this path and method; `allowed` are the path's methods, if any."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self.allowed = tuple(allowed)
        super().__init__()


class Router:
    """A tree of path segments. Fixed words win over names, names over the rest."""

    def __init__(self, routes: Iterable[web.RouteDef] = ()) -> None:
        self._root = _Node()
        for route in routes:
            self.add(route.method, route.path, route.handler)

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Route `method` of the paths that match `pattern` to `handler`."""
        nodes, names = [self._root], []
        for segment in pattern.strip("/").split("/"):
            name, words = _parsed(segment)
            if name:
                names.append(name)
            nodes = [child for node in nodes for child in _children(node, words)]
        for node in nodes:
            node.handlers[method] = (handler, tuple(names))

    def match(self, method: str, path: str) -> tuple[Handler, Names]:
        """The handler of a raw `path` (query cut off) and the raw values of its names. Raises `NoRoute`."""
        segments = path.split("/")
        quick = _straight(self._root, segments, method)
        if quick is not None:
            return quick
        allowed: set[str] = set()
        found = _find(self._root, segments, 1, method, allowed)
        if found is None:
            raise NoRoute(sorted(allowed))
        handler, names, values = found
        return handler, dict(zip(names, values, strict=True))


def _parsed(segment: str) -> tuple[str, list[str]]:
    """A segment's parameter name (or none) and the fixed words that it can be."""
    if not segment.startswith("{"):
        return "", [segment]
    name, _, words = segment[1:-1].partition(":")
    return name, words.split("|") if words else [""]


def _children(node: _Node, words: list[str]) -> list[_Node]:
    if words == [""]:
        node.any = node.any or _Node()
        return [node.any]
    if words == ["*"]:
        node.rest = node.rest or _Node()
        return [node.rest]
    return [node.fixed.setdefault(word, _Node()) for word in words]


def _straight(node: _Node, segments: list[str], method: str) -> tuple[Handler, Names] | None:
    """Match without backtracking, which suffices for nearly every path."""
    values = []
    for segment in segments[1:]:
        child = node.fixed.get(segment)
        if child is None:
            child = node.any
            if child is None or not segment:
                return None
            values.append(segment)
        node = child
    served = node.handlers.get(method)
    return None if served is None else (served[0], dict(zip(served[1], values, strict=True)))


_Found = tuple[Handler, tuple[str, ...], list[str]]


def _find(node: _Node, segments: list[str], at: int, method: str, allowed: set[str]) -> _Found | None:
    """Depth first; `allowed` collects the methods of the nodes that match the path but not the method."""
    if at == len(segments):
        return _served(node, method, allowed, [])
    segment = segments[at]
    child = node.fixed.get(segment)
    found = None if child is None else _find(child, segments, at + 1, method, allowed)
    if found is None and node.any is not None and segment:
        found = _with(segment, _find(node.any, segments, at + 1, method, allowed))
    if found is None and node.rest is not None:
        found = _served(node.rest, method, allowed, ["/".join(segments[at:])])
    return found


def _served(node: _Node, method: str, allowed: set[str], values: list[str]) -> _Found | None:
    served = node.handlers.get(method)
    if served is None:
        allowed.update(node.handlers)
        return None
    return served[0], served[1], values


def _with(value: str, found: _Found | None) -> _Found | None:
    if found is not None:
        found[2].insert(0, value)
    return found
