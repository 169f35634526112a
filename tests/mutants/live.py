"""A mutant in the running process: the code of the functions that its text changes is exchanged, and put back.

Nothing is imported again, so every object that exists keeps its class; only what functions do is another thing.
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from graph_service.graph import queries
from tests.mutants.model import Mutant

UNCHANGED = object()


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The product of this process has the mutant."""
    with ExitStack() as stack:
        text = mutant.applied(mutant.source())
        if mutant.file.endswith(".cypher"):
            _change_query(stack, mutant, text)
        else:
            module = importlib.import_module(mutant.file.removesuffix(".py").replace("/", "."))
            changed = _change_functions(stack, module, text, mutant.source())
            changed += _change_constants(stack, module, text, mutant.source())
            assert changed, f"{mutant.name} changes no function and no constant"
        yield


def _change_query(stack: ExitStack, mutant: Mutant, text: str) -> None:
    name = mutant.file.rpartition("/")[2].removesuffix(".cypher")
    stack.enter_context(patch.dict(queries.catalogue(), {name: queries.parse(name, text)}))


def _change_functions(stack: ExitStack, module: types.ModuleType, text: str, was: str) -> int:
    path = str(module.__file__)
    new, old = (dict(_codes(compile(one, path, "exec"))) for one in (text, was))
    changed = {name for name, code in new.items() if name in old and not _same(code, old[name])}
    count = 0
    for function in _functions(module):
        name = function.__code__.co_qualname
        if name in changed:
            stack.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = new[name]
            count += 1
    return count


def _codes(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    """Every function's code by its qualified name."""
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one.co_qualname, one
            yield from _codes(one)


def _same(a: types.CodeType, b: types.CodeType) -> bool:
    """Whether two functions do the same, wherever their lines stand."""
    if (a.co_code, a.co_names, a.co_varnames) != (b.co_code, b.co_names, b.co_varnames):
        return False
    if len(a.co_consts) != len(b.co_consts):
        return False
    return all(_same_constant(x, y) for x, y in zip(a.co_consts, b.co_consts, strict=True))


def _same_constant(a: Any, b: Any) -> bool:
    if isinstance(a, types.CodeType) and isinstance(b, types.CodeType):
        return _same(a, b)
    return type(a) is type(b) and a == b


def _functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    """Every function of a module, methods and properties included."""
    seen: set[int] = set()
    waiting: list[Any] = [one for one in vars(module).values() if _belongs(one, module)]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__wrapped__", one)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, types.FunctionType):
            yield one
        elif isinstance(one, staticmethod | classmethod):
            waiting.append(one.__func__)
        elif isinstance(one, property):
            waiting.append(one.fget)
        elif isinstance(one, type):
            waiting += [
                value
                for value in vars(one).values()
                if not isinstance(value, type) or _belongs(value, module)
            ]


def _belongs(one: Any, module: types.ModuleType) -> bool:
    return getattr(one, "__module__", None) == module.__name__


def _change_constants(stack: ExitStack, module: types.ModuleType, text: str, was: str) -> int:
    """Names of the module with a literal that is another one now, wherever they were imported."""
    new, old = _literals(text), _literals(was)
    changed = {name: value for name, value in new.items() if old.get(name, UNCHANGED) != value}
    package = module.__name__.partition(".")[0]
    for name, value in changed.items():
        had = getattr(module, name)
        for other in [m for n, m in list(sys.modules.items()) if n.partition(".")[0] == package]:
            if getattr(other, name, UNCHANGED) is had:
                stack.enter_context(patch.object(other, name, value))
    return len(changed)


def _literals(text: str) -> dict[str, Any]:
    found = {}
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
            try:
                found[target.id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found
