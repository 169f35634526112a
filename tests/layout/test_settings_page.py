"""`docs/settings.md` says what the code says: ``python -m tests.layout.test_settings_page`` writes it again."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from graph_service.settings import Settings as Graph
from pubnub_bridge.settings import Settings as Bridge

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
HEAD = """# Settings

Environment variables without a prefix. A secret (marked ●) may be named by file instead: `JWT_SECRET_FILE=/run/secrets/jwt`.
Wrong or unsafe values are refused at the start, by name. Written from the code by `python -m tests.layout.test_settings_page`.
"""


def said(kind: type[Any]) -> dict[str, str]:
    """The text under each option."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for one, following in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            texts[one.target.id] = str(text.value) if isinstance(text, ast.Constant) else ""
    return texts


def limits(field: Any) -> str:
    """What values are allowed."""
    if isinstance(first := next(iter(get_args(field.annotation)), None), str | int):
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation)) if first else ""
    found = re.findall(r"([GL]e)\(\w+=([^)]+)\)", str(field.metadata))
    return " ".join(f"{'≥' if kind == 'Ge' else '≤'} {value}" for kind, value in found)


def default(field: Any) -> str:
    """The default as it would be written in the environment."""
    if field.default in (None, "", (), PydanticUndefined) or "SecretStr" in str(field.annotation):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, kind in (("Graph and API", Graph), ("Bridge", Bridge)):
        parts.append(f"\n## {title}\n\n| option | default | allowed | meaning |\n|---|---|---|---|\n")
        for name, text in said(kind).items():
            if name not in kind.model_fields or name == "model_config":
                continue
            field = kind.model_fields[name]
            secret = " ●" if "SecretStr" in str(field.annotation) else ""
            words = " ".join(text.split())
            parts.append(f"| `{name.upper()}`{secret} | {default(field)} | {limits(field)} | {words} |\n")
    return "".join(parts)


def test_the_settings_page_says_what_the_code_says() -> None:
    """Every option is there with its default, limits and meaning."""
    written = PAGE.read_text("utf-8")
    assert written == page()
    assert all(f"`{name.upper()}`" in written for name in Bridge.model_fields)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
