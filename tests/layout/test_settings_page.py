"""`docs/settings.md` says what the code says: ``python -m tests.layout.test_settings_page`` generates it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic_core import PydanticUndefined

from graph_service.settings import FIXED, RENAMED
from graph_service.settings import Settings as Graph
from pubnub_bridge.settings import Settings as Bridge

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.*")} - {ROOT / "CHANGELOG.md"}
)
"""What names settings to a reader. The change log names old ones."""
HEAD = """# Settings

Environment variables without a prefix. A secret (marked ●) may be given by file instead:
`JWT_SECRET_FILE=/run/secrets/jwt`. A start with a wrong or unsafe value is refused, and so is one with a
name of before 1.0; the message names the setting. Generated from the code by
`python -m tests.layout.test_settings_page`.
"""


def texts(kind: type[Any]) -> dict[str, str]:
    """The text under each setting."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, following in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            found[one.target.id] = str(text.value) if isinstance(text, ast.Constant) else ""
    return found


def limits(field: Any) -> str:
    """The allowed values."""
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
    parts = [HEAD]
    for title, kind in (("Graph and API", Graph), ("Bridge", Bridge)):
        parts.append(
            f"\n## {title}\n\n| setting | default | allowed | what it does, and when to change it |\n|---|---|---|---|\n"
        )
        for name, text in texts(kind).items():
            if name not in kind.model_fields or name == "model_config":
                continue
            field = kind.model_fields[name]
            secret = " ●" if "SecretStr" in str(field.annotation) else ""
            words = " ".join(text.split())
            parts.append(f"| `{name.upper()}`{secret} | {default(field)} | {limits(field)} | {words} |\n")
    return "".join(parts)


def test_the_settings_page_says_what_the_code_says() -> None:
    written = PAGE.read_text("utf-8")
    assert written == page()
    assert all(f"`{name.upper()}`" in written for name in Bridge.model_fields)


@pytest.mark.parametrize(("name", "text"), (texts(Graph) | texts(Bridge)).items())
def test_a_setting_says_what_it_does_and_when_to_change_it(name: str, text: str) -> None:
    assert len(re.findall(r"[.;:](?=\s|$)", text)) >= 2, (
        f"{name}: a first sentence for what, a second for when"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_setting_that_was_renamed_or_became_a_constant(page: Path) -> None:
    assert not set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", page.read_text("utf-8"))) & {*FIXED, *RENAMED}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
